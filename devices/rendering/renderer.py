"""One rendering process as its parent sees it: it may do anything except outlive its limits."""

import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import jinja2

from devices.rendering import child
from devices.rendering.child import HEADER, Request
from devices.rendering.failures import TemplateFailure

T = TypeVar("T")
Sources = Callable[[str], tuple[bytes, str]]  # a template by its name, in the form that the child's Room needs
StillWanted = Callable[[], None]  # raises when nobody waits for the configuration any more

PAUSE_SECONDS: Final = 2.0  # between two checks whether it is still wanted
MB: Final = 1 << 20
_BACKSTOP_SECONDS: Final = 10.0  # for starting, and after the kernel should have ended it
_SHORT: Final = 64 * 1024  # the most bytes of a name or a reason
_CHUNK: Final = 64 * 1024
_PACKAGES: Final = str(Path(jinja2.__file__).parents[1])
# The program comes from here and not from its file, which an upgrade may have replaced since this process began: both
# sides must be of one version.
_FILE: Final = child.__file__
_PROGRAM: Final = Path(_FILE).read_bytes()
_START: Final = """import os, sys
length, text = int(sys.argv[5]), b""
while len(text) < length:
    text += os.read(0, length - len(text))
exec(compile(text, sys.argv[4], "exec"))
"""


class _Broken(Exception):
    """The process is gone, or broke the protocol."""


class _NoData(Exception):
    """The data of a device can't be passed on."""


class Renderer:
    """Used by one thread at a time."""

    def __init__(self, *, memory_mb: int) -> None:
        """Call it in a thread that lives as long as the process may: the kernel ends the child with the thread."""
        self.memory_mb = memory_mb
        self._shared: dict[int, dict[str, Any]] = {}  # what it was sent, kept so that no number is reused
        self._new: dict[int, dict[str, Any]] = {}  # of these, what it was sent with the last order
        self._job = 0
        self._buffer = bytearray()
        self._until = self._ask_at = 0.0
        self._wanted: StillWanted = lambda: None
        self._socket, theirs = socket.socketpair()
        # The kernel waits, with one system call for each part of an answer. Each call may pass Python's lock to another
        # thread, and a job has fifty.
        for waits in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, waits, _timeval(PAUSE_SECONDS))
        arguments = [str(os.getpid()), str(memory_mb * MB), _PACKAGES, _FILE, str(len(_PROGRAM))]
        try:
            self._socket.sendall(_PROGRAM)  # far less than the kernel keeps for one that has not begun to read
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _START, *arguments],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={},
                    process_group=0,
                )
        except BaseException:
            self._socket.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_closed(self) -> bool:
        return self._process.returncode is not None

    @property
    def alive(self) -> bool:
        """Whether it runs, according to the kernel."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it now, with everything that it may have started."""
        if self._process.returncode is None:  # its number is not reused until it has been waited for
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._socket.close()

    def disown(self) -> None:
        """For a forked child: forget the process, which belongs to the parent."""
        self._socket.close()
        self._process.returncode = 0  # otherwise Python would look for the process when the object is deleted

    def render(self, request: Request, shared: dict[int, dict[str, Any]], source: Sources, wanted: StillWanted) -> str:
        """The configuration of one device. The process is closed if it can't be used for another.

        Args:
            shared: the data that devices have in common, by number; what the process already has is not sent again.

        Raises:
            TemplateFailure: why there is none. What ``wanted`` raises is passed on.
        """
        self._begin(request.seconds, wanted)
        try:
            self._order(child.RENDER, [request], shared)
            kind, content = self._answer(request.max_bytes, source)
        except _NoData as exc:
            kind, content = child.NO_DATA, str(exc).encode("utf-8", "replace")
        except _Broken as exc:
            self.close()
            raise TemplateFailure(f"template {request.entrypoint}: {self._end(request)}") from exc
        except BaseException:
            self.close()
            raise
        if kind == child.TEXT:
            return content.decode("utf-8", "surrogatepass")
        if kind == child.NO_MEMORY:
            self.close()
        raise TemplateFailure(self._reason(kind, content.decode("utf-8", "replace"), request))

    def render_ahead(
        self, requests: Sequence[Request], shared: dict[int, dict[str, Any]], source: Sources
    ) -> list[str | None]:
        """The configurations of devices whose turn has not come, in their order, as far as that is quick.

        None for one that has none: its own ``render`` says why. The process is closed if it can't be used any more.
        """
        self._begin(child.AHEAD_LIMIT, lambda: None)
        found: list[str | None] = []
        try:
            self._order(child.AHEAD, [one._replace(max_bytes=child.AHEAD_BYTES) for one in requests], shared)
            for _ in range(len(requests) + 1):
                kind, content = self._answer(child.AHEAD_BYTES, source)
                if kind in (child.END, child.NO_DATA):
                    return found
                found.append(content.decode("utf-8", "surrogatepass") if kind == child.TEXT else None)
                if kind == child.NO_MEMORY:
                    break
            self.close()  # it is out of memory, or sends more than was asked for
        except _NoData:
            pass
        except (_Broken, UnicodeDecodeError):
            self.close()
        except BaseException:
            self.close()
            raise
        return found

    def _begin(self, seconds: float, wanted: StillWanted) -> None:
        began = time.monotonic()
        self._until = began + seconds + _BACKSTOP_SECONDS
        self._ask_at = began + PAUSE_SECONDS
        self._wanted = wanted

    # --- words --------------------------------------------------------------------------------------------------------

    def _reason(self, kind: bytes, text: str, request: Request) -> str:
        if kind == child.FAILED:
            return text
        if kind == child.NO_DATA:
            return f"its data can't be passed to the templates: {text}"
        if kind == child.NO_MEMORY:
            what = f"rendering needs more than {self.memory_mb} MB of memory (CNAASJOBS_RENDER_MEMORY_MB)"
        else:
            what = f"the configuration is larger than {request.max_bytes // MB} MB (CNAASJOBS_RENDER_OUTPUT_MB)"
        return f"template {request.entrypoint}: {what}"

    def _end(self, request: Request) -> str:
        """How a process ended that did not answer."""
        code = self._process.returncode
        if code == -signal.SIGALRM or time.monotonic() > self._until:
            return f"rendering takes longer than {request.seconds:g} seconds (CNAASJOBS_RENDER_SECONDS)"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the process that rendered it ended ({how})"

    # --- frames -------------------------------------------------------------------------------------------------------

    def _order(self, kind: bytes, requests: Sequence[Request], shared: dict[int, dict[str, Any]]) -> None:
        """Send the requests of one job, with the shared data that the process does not have yet."""
        if requests[0].job != self._job:
            self._shared, self._job = {}, requests[0].job
        self._new = {number: data for number, data in shared.items() if number not in self._shared}
        orders = [tuple(requests[0]._replace(shared=self._new)), *map(tuple, requests[1:])]
        try:
            content = pickle.dumps(orders, pickle.HIGHEST_PROTOCOL)
        except Exception as exc:  # objects of any class, and what these do
            raise _NoData(f"{type(exc).__name__}: {exc}") from exc
        self._send(kind, content)

    def _answer(self, max_bytes: int, source: Sources) -> tuple[bytes, bytes]:
        """The next answer to what was ordered."""
        while True:
            kind, content = self._receive(max_bytes)
            if kind != child.NEED:
                break
            answer, text = source(content.decode("utf-8", "surrogatepass"))
            self._send(answer, text.encode("utf-8", "surrogatepass"))
        if kind != child.NO_DATA:
            self._shared.update(self._new)
        return kind, content

    def _send(self, kind: bytes, content: bytes) -> None:
        left = memoryview(HEADER.pack(kind, len(content)) + content)
        while left:
            sent = self._tried(partial(self._socket.send, left))
            left = left[sent or 0 :]

    def _receive(self, max_bytes: int) -> tuple[bytes, bytes]:
        self._fill(HEADER.size)
        kind, length = HEADER.unpack_from(self._buffer)
        if length > (max_bytes if kind == child.TEXT else _SHORT):
            raise _Broken
        self._fill(HEADER.size + length)
        content = bytes(self._buffer[HEADER.size : HEADER.size + length])
        del self._buffer[: HEADER.size + length]
        return kind, content

    def _fill(self, length: int) -> None:
        """Wait until the buffer has this many bytes."""
        while len(self._buffer) < length:
            part = self._tried(partial(self._socket.recv, _CHUNK))
            if part == b"":
                raise _Broken
            self._buffer += part or b""

    def _tried(self, call: Callable[[], T]) -> T | None:
        """None if nothing came for the length of a pause."""
        now = time.monotonic()
        if now > self._until:  # checked each time: a process that writes much is as late as one that writes nothing
            raise _Broken
        if now >= self._ask_at:
            self._wanted()
            self._ask_at = time.monotonic() + PAUSE_SECONDS
        try:
            return call()
        except BlockingIOError:
            return None
        except ConnectionError as exc:
            raise _Broken from exc


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack("ll", whole, int((seconds - whole) * 1e6))
