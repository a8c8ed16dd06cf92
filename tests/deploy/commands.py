"""Whether one of our command lines would start: module, verb and options, checked by the program's own parser."""

import importlib.util
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, Final, NoReturn

import click
from celery.bin.beat import beat
from celery.bin.worker import worker
from django.core.management import get_commands, load_command_class
from gunicorn.config import Config

from cnaasjobs.live.__main__ import parser as events_parser

CELERY: Final = {"worker": worker, "beat": beat}


class WrongCommand(Exception):
    """What is wrong with it."""


def options_of(command: Sequence[str]) -> dict[str, Any]:
    """What the program would understand. Raises WrongCommand."""
    program, *arguments = command
    match [PurePath(program).name, *arguments]:
        case ["gunicorn", *rest]:
            return _gunicorn(rest)
        case ["celery", "-A", app, verb, *rest] if verb in CELERY:
            _must_be_there(app)
            return _celery(CELERY[verb], rest)
        case ["python", "-m", "cnaasjobs.live", *rest]:
            return _argparse(events_parser(), rest)
        case ["python", "manage.py", verb, *rest]:
            return _manage(verb, rest)
    raise WrongCommand(f"{command} is none of our programs")


def _gunicorn(arguments: Sequence[str]) -> dict[str, Any]:
    options = _argparse(Config().parser(), arguments)
    for app in options["args"]:
        _must_be_there(app)
    return options


def _celery(command: click.Command, arguments: Sequence[str]) -> dict[str, Any]:
    context = click.Context(command)
    try:
        options, left_over, _ = command.make_parser(context).parse_args(list(arguments))
    except click.UsageError as exc:
        raise WrongCommand(f"celery {command.name}: {exc.format_message()}") from None
    if left_over:
        raise WrongCommand(f"celery {command.name} takes no {left_over}")
    if not str(options.get("concurrency", "1")).isdigit():
        raise WrongCommand(f"celery {command.name}: {options['concurrency']} is no number")
    return options


def _manage(verb: str, arguments: Sequence[str]) -> dict[str, Any]:
    app = get_commands().get(verb)
    if app is None:
        raise WrongCommand(f"manage.py has no {verb}")
    found = load_command_class(app, verb)
    vars(found)["_called_from_command_line"] = True  # otherwise its parser raises where another one exits
    return _argparse(found.create_parser("manage.py", verb), arguments)


def _argparse(parser: ArgumentParser, arguments: Sequence[str]) -> dict[str, Any]:
    for each in _with_verbs(parser):
        vars(each)["error"] = _refuse(each)  # which else ends the process
    return vars(parser.parse_args(list(arguments)))


def _with_verbs(parser: ArgumentParser) -> list[ArgumentParser]:
    verbs = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    return [parser, *(each for choices in verbs for each in choices.values())]


def _refuse(parser: ArgumentParser) -> Callable[[str], NoReturn]:
    def error(message: str) -> NoReturn:
        raise WrongCommand(f"{parser.prog}: {message}")

    return error


def _must_be_there(module: str) -> None:
    if importlib.util.find_spec(module.partition(":")[0]) is None:
        raise WrongCommand(f"there is no {module}")
