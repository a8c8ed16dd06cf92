"""The program of a process that renders templates: Jinja2's sandbox and the kernel's limits, without the platform.

``python -I -S -c … PARENT MEMORY_BYTES SITE_PACKAGES``, with an empty environment: its parent hands it this text, so it
imports the standard library and Jinja2 only. It opens no templates itself: it asks its parent for each, which decides.
Its input comes from the parent; the parent does not trust its output.
"""

import ctypes
import importlib
import io
import os
import pickle
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment as Environment

# A frame consists of its kind, the length of its content, and the content.
HEADER: Final = struct.Struct("!cQ")
RENDER, AHEAD, SOURCE, MISSING, REFUSED = b"R", b"A", b"S", b"M", b"X"  # to the child
NEED, TEXT, FAILED, TOO_LARGE, NO_MEMORY, NO_DATA, END = b"N", b"T", b"F", b"L", b"O", b"D", b"E"  # from it

# Limits for devices that are rendered ahead of their turn, while the parent's main thread waits.
AHEAD_SECONDS: Final = 0.025  # of processor time; after that no other device is begun
AHEAD_LIMIT: Final = 1.0  # seconds for all of them; after that the kernel ends the process
AHEAD_BYTES: Final = 256 * 1024  # of text; after that no other device is begun

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
# What Jinja2, Python's codecs and strptime import at first use, and the types of an inventory's data.
_NEEDED: Final = (
    *(
        "jinja2.sandbox",
        "jinja2.debug",
        "jinja2.constants",
        "textwrap",
        "pprint",
        "_strptime",
        "decimal",
        "ipaddress",
        "uuid",
    ),
    *(f"encodings.{codec}" for codec in ("unicode_escape", "ascii", "latin_1", "utf_16", "idna", "punycode")),
)
_MARK: Final = "<template> "  # of a template's file name in tracebacks
_LENGTH: Final = 10_000  # characters of a reason; its parent masks it before shortening it to what is shown


class Request(NamedTuple):
    """One device to render. Data that devices share is sent once, with a number, and referred to by that afterwards."""

    platform: str
    entrypoint: str
    host: str
    secrets: int  # shared data that overrides the device's own
    data: dict[str, Any]  # the device's own
    below: list[int]  # shared data that the device's own overrides; each overrides those after it
    shared: dict[int, dict[str, Any]]  # by its number, what was not sent before
    job: int  # when it changes, all shared data is forgotten
    generation: int  # of the templates; when it changes, their files have changed
    seconds: float
    max_bytes: int


class Refused(Exception):
    """A template that may not be read. An ``ignore missing`` in the template that includes it does not help."""


class Room:
    """What one process keeps between two devices: compiled templates, and data that devices share."""

    def __init__(self, source_of: Callable[[str], tuple[bytes, str]]) -> None:
        self._source_of = source_of
        self._shared: dict[int, dict[str, Any]] = {}
        self._environments: dict[str, Environment] = {}
        self._generation = 0
        self._job = 0

    def answer(self, request: Request) -> tuple[bytes, bytes]:
        """The kind of frame and its content. Never raises what a template raised."""
        if request.generation != self._generation:
            self._environments.clear()
            self._generation = request.generation
        if request.job != self._job:
            self._shared.clear()
            self._job = request.job
        self._shared.update(request.shared)
        try:
            return self._render(request)
        except MemoryError:
            return NO_MEMORY, b""
        except Exception as exc:  # noqa: BLE001  (an expression in a template may raise anything)
            return FAILED, _reason(exc, request.entrypoint).encode("utf-8", "backslashreplace")

    def _render(self, request: Request) -> tuple[bytes, bytes]:
        template = self._environment(request.platform).get_template(request.entrypoint)
        parts: list[str] = []
        length = 0
        for part in template.generate(self._variables(request)):
            length += len(part)
            if length > request.max_bytes:
                return TOO_LARGE, b""
            parts.append(part)
        text = "".join(parts).encode("utf-8", "surrogatepass")
        return (TEXT, text) if len(text) <= request.max_bytes else (TOO_LARGE, b"")

    def _variables(self, request: Request) -> dict[str, Any]:
        variables: dict[Any, Any] = {}
        for number in reversed(request.below):
            variables.update(self._shared[number])
        variables.update(request.data)
        variables.update(self._shared[request.secrets])
        variables["host"] = request.host
        # A number as a key, which YAML allows, can't be the name of a variable.
        return {name: value for name, value in variables.items() if isinstance(name, str)}

    def _environment(self, platform: str) -> "Environment":
        environment = self._environments.get(platform)
        if environment is None:
            environment = self._environments[platform] = self._new_environment()
        return environment

    def _new_environment(self) -> "Environment":
        from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def load(name: str) -> tuple[str, str, Callable[[], bool]]:
            kind, content = self._source_of(name)
            if kind == SOURCE:
                return content, _MARK + name, lambda: True
            raise TemplateNotFound(name, content) if kind == MISSING else Refused(content)

        return ImmutableSandboxedEnvironment(
            loader=FunctionLoader(load),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )


def _reason(exc: Exception, entrypoint: str) -> str:
    from jinja2 import TemplateNotFound, TemplateSyntaxError

    if isinstance(exc, TemplateSyntaxError):
        text = f"template {exc.name or entrypoint} line {exc.lineno}: {exc.message}"
    elif isinstance(exc, TemplateNotFound | Refused):
        text = str(exc)
    else:
        text = f"template {_place(exc, entrypoint)}: {str(exc) or type(exc).__name__}"
    return text[:_LENGTH]


def _place(exc: Exception, entrypoint: str) -> str:
    """The innermost template line of the traceback, where Jinja puts the templates' own files and lines."""
    for frame, line in reversed(list(traceback.walk_tb(exc.__traceback__))):
        name = frame.f_code.co_filename
        if name.startswith(_MARK):
            return f"{name.removeprefix(_MARK)} line {line}"
    return entrypoint


class _Plain(pickle.Unpickler):
    """Allows the types of the standard library and Jinja2; nothing can be imported here any more."""

    def find_class(self, module: str, name: str) -> Any:
        if module not in sys.modules:
            raise pickle.UnpicklingError(f"{module}.{name} is not plain data")
        return super().find_class(module, name)


# --- the process ------------------------------------------------------------------------------------------------------


def confine(parent: int, memory: int) -> None:
    """Limits that hold whatever a template does. Time is measured per device, see ``_serve``."""
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("its parent ended before it began")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's signal is for the parent


def shut() -> None:
    """Forbid this process file descriptors: from now on it can open no file, connection or module."""
    sys.path.append(sys.argv[3])
    for module in _NEEDED:
        importlib.import_module(module)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # libraries keep some open: libffi, which ctypes needs, its own file
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(what, (bound, bound))
    except ValueError:
        if sys.platform == "linux":  # macOS does not support all of them
            raise


def _serve() -> None:
    room = Room(_ask)
    while (frame := _read()) is not None:
        kind, content = frame
        try:
            requests = [Request(*one) for one in _Plain(io.BytesIO(content)).load()]
        except Exception as exc:  # noqa: BLE001  (an inventory may hold objects of any class, whose code runs here)
            _write(NO_DATA, f"{type(exc).__name__}: {exc}"[:_LENGTH].encode("utf-8", "backslashreplace"))
            continue
        # When the timer ends, so does the process, even in the middle of a computation in C.
        seconds = requests[0].seconds
        signal.setitimer(signal.ITIMER_REAL, min(AHEAD_LIMIT, seconds) if kind == AHEAD else seconds)
        answers = _ahead(room, requests) if kind == AHEAD else [room.answer(requests[0])]
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(answers)


def _ahead(room: Room, requests: Iterable[Request]) -> list[tuple[bytes, bytes]]:
    """Answers for the first of them, in their order, up to the limits. One without a text is asked again in its turn,
    and its answer then says why.
    """
    answers = []
    size, until = 0, time.process_time() + AHEAD_SECONDS
    for request in requests:
        kind, content = room.answer(request)
        answers.append((kind, content if kind == TEXT else b""))
        size += len(answers[-1][1])
        if kind == NO_MEMORY or size >= AHEAD_BYTES or time.process_time() > until:
            break
    return [*answers, (END, b"")]


def _ask(name: str) -> tuple[bytes, str]:
    _write(NEED, name.encode("utf-8", "surrogatepass"))
    frame = _read()
    if frame is None:
        sys.exit()
    return frame[0], frame[1].decode("utf-8", "surrogatepass")


def _read() -> tuple[bytes, bytes] | None:
    header = _exactly(HEADER.size)
    if header is None:
        return None
    kind, length = HEADER.unpack(header)
    return kind, _exactly(length) or b""


def _exactly(length: int) -> bytes | None:
    """The next bytes from the parent; None if it is gone."""
    parts = []
    while length:
        part = os.read(0, min(length, 1 << 20))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(kind: bytes, content: bytes) -> None:
    _send([(kind, content)])


def _send(frames: Iterable[tuple[bytes, bytes]]) -> None:
    left = memoryview(b"".join(HEADER.pack(kind, len(content)) + content for kind, content in frames))
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    confine(parent=int(sys.argv[1]), memory=int(sys.argv[2]))
    shut()
    _serve()
