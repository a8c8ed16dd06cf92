"""The jobs and other Celery tasks whose code this process knows."""

import inspect
from functools import lru_cache
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from celery import current_app

from jobs.task import JobTask, known_tasks


def tasks() -> dict[str, Any]:
    """All tasks by name, Celery's own left out."""
    return {name: task for name, task in sorted(known_tasks().items()) if not name.startswith("celery.")}


def job_tasks() -> dict[str, JobTask]:
    return {name: task for name, task in tasks().items() if isinstance(task, JobTask)}


def function_names() -> list[str]:
    """The names under which jobs of these tasks are shown."""
    return [name for task in job_tasks().values() for name in _names_of(task)]


@lru_cache(maxsize=1024)
def _names_of(task: JobTask) -> list[str]:
    names = [task.function_name_of({})]
    if "dry_run" in inspect.signature(task.run).parameters:
        names.append(task.function_name_of({"dry_run": True}))
    return names


def queues() -> list[str]:
    """Every queue that a task's code names."""
    return sorted({task.job_queue for task in job_tasks().values() if task.job_queue} | {default_queue()})


def default_queue() -> str:
    return str(current_app.conf.task_default_queue)


@lru_cache(maxsize=1024)
def call_of(task: JobTask) -> str:
    """How its function is called, without the context: ``add(*, a: int, b: int = 0)``."""
    signature = inspect.signature(task.run)
    _ctx, *parameters = signature.parameters.values()
    shown = signature.replace(
        parameters=[each for parameter in parameters for each in _spelt_out(parameter)],
        return_annotation=inspect.Signature.empty,
    )
    return f"{task.function_name_of({})}{shown}"


class _LeftOut:
    def __repr__(self) -> str:
        return "…"


def _spelt_out(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """The names that ``**more: Unpack[SomeTypedDict]`` stands for; any other parameter as it is."""
    if get_origin(parameter.annotation) is not Unpack:
        return [parameter]
    (named,) = get_args(parameter.annotation)
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if name in named.__required_keys__ else _LeftOut(),
            annotation=annotation,
        )
        for name, annotation in get_type_hints(named).items()
    ]


def permission_of(name: str) -> str:
    """What one must have to start the task of this name."""
    task = tasks().get(name)
    return task.permission if isinstance(task, JobTask) else "jobs.add_job"
