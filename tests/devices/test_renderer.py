"""Whatever a rendering process does wrong, it costs its parent no more than time."""

import ipaddress
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from devices.rendering import child, renderer
from devices.rendering.child import MISSING, SOURCE, Request
from devices.rendering.failures import TemplateFailure
from devices.rendering.renderer import Renderer
from jobs.errors import JobAborted
from tests.waiting import wait_until

CHILD = Path(child.__file__)
Program = Callable[[str], None]
READ = "import os, struct, signal, time\nos.read(0, 65536)\n"


def write(kind: str, length: int, content: str) -> str:
    return f"os.write(1, struct.pack('!cQ', b'{kind}', {length}) + {content})\n"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Sets what runs in place of ``child``."""
    monkeypatch.setattr(renderer, "_FILE", mark := f"program of {monkeypatch}")
    monkeypatch.setattr(renderer, "_BACKSTOP_SECONDS", 0.5)
    monkeypatch.setattr(renderer, "PAUSE_SECONDS", 0.1)
    yield lambda text: monkeypatch.setattr(renderer, "_PROGRAM", text.encode())
    assert [child for child in psutil.Process().children(recursive=True) if mark in child.cmdline()] == []


def request(**data: object) -> Request:
    return Request(
        platform="lab",
        entrypoint="full.j2",
        host="sw1",
        secrets=1,
        data=dict(data),
        below=[],
        shared={},
        job=1,
        generation=1,
        seconds=0.5,
        max_bytes=1 << 20,
    )


def failure(**data: object) -> str:
    one = Renderer(memory_mb=512)
    with pytest.raises(TemplateFailure) as caught:
        one.render(request(**data), {1: {}}, lambda name: (MISSING, "no"), lambda: None)
    assert not one.alive
    one.close()
    return str(caught.value)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("os._exit(3)", "ended (exit code 3)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGALRM)", "takes longer than 0.5 seconds"),
        ("time.sleep(3600)", "takes longer than 0.5 seconds"),
        (write("T", 1 << 40, "b''") + "time.sleep(3600)", "ended (SIGKILL)"),
        (write("F", 1 << 17, "b'x' * (1 << 17)") + "time.sleep(3600)", "ended (SIGKILL)"),
        (write("T", 100, "b'too short'") + "time.sleep(3600)", "takes longer than"),
        (write("T", 100, "b'too short'"), "ended (exit code 0)"),
        ("while True:\n    " + write("N", 1, "b'x'") + "    os.read(0, 65536)", "takes longer than 0.5 seconds"),
        ("os.setsid()", "ended (exit code 1)"),  # it leads a group, and can't leave it
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.fork()\ntime.sleep(3600)", "takes longer than"),
        ("raise SystemExit(1)", "ended (exit code 1)"),
        ("syntax error", "ended (exit code 1)"),
    ],
)
def test_a_process_that_misbehaves_fails_its_device_and_is_gone(program: Program, does: str, said: str) -> None:
    program(READ + does)
    assert said in failure()


def test_one_that_does_not_read_is_given_up_too(program: Program) -> None:
    program("import time\ntime.sleep(3600)")
    assert "takes longer than 0.5 seconds" in failure(large="x" * 5_000_000)


@pytest.mark.parametrize(
    ("does", "gives"),
    [
        ("os._exit(3)", []),
        (write("T", 5, "b'whole'") + "os._exit(3)", ["whole"]),
        (write("T", 100, "b'too short'") + "time.sleep(3600)", []),
        (write("T", child.AHEAD_BYTES + 1, "b'x' * (1 << 20)") + "time.sleep(3600)", []),
        ("for _ in range(9):\n    " + write("T", 5, "b'often'") + "time.sleep(3600)", ["often"] * 4),
        ("while True:\n    " + write("N", 1, "b'x'") + "    os.read(0, 65536)", []),
        (write("O", 0, "b''") + "time.sleep(3600)", [None]),
        (write("T", 1, "b'\\xff'") + "time.sleep(3600)", []),
    ],
)
def test_one_that_misbehaves_ahead_of_a_turn_is_gone(
    program: Program, monkeypatch: pytest.MonkeyPatch, does: str, gives: list[str | None]
) -> None:
    monkeypatch.setattr(child, "AHEAD_LIMIT", 0.2)
    program(READ + does)
    one = Renderer(memory_mb=512)
    found = one.render_ahead([request()] * 3, {1: {}}, lambda name: (MISSING, "no"))
    assert found == gives
    assert one.is_closed


def test_what_nobody_waits_for_any_more_is_ended(program: Program) -> None:
    program("import time\ntime.sleep(3600)")
    one = Renderer(memory_mb=512)

    def wanted() -> None:
        raise JobAborted("enough")

    with pytest.raises(JobAborted):
        one.render(request(), {1: {}}, lambda name: (MISSING, "no"), wanted)
    assert not one.alive


# --- the real program -----------------------------------------------------------------------------------------------


class Own:
    """A class that a renderer can't import."""


def test_data_that_cannot_be_passed_on_are_reported_and_the_process_is_used_on() -> None:
    one = Renderer(memory_mb=512)
    try:
        for data, said in ((lambda: 1, "local object"), (Own(), "tests.devices.test_renderer.Own is not plain data")):
            with pytest.raises(TemplateFailure, match="its data can't be passed to the templates") as caught:
                one.render(request(x=data), {1: {}}, lambda name: (MISSING, "no"), lambda: None)
            assert said in str(caught.value)
        with pytest.raises(TemplateFailure, match=r"^full\.j2 is not there$"):
            one.render(request(), {1: {}}, lambda name: (MISSING, f"{name} is not there"), lambda: None)
        assert one.alive
    finally:
        one.close()


BROKEN_OUT = """
import os, socket, sys
sys.path.insert(0, {directory!r})
import child
child.confine(int(sys.argv[1]), int(sys.argv[2]))
child.shut()

def tried(attempt):
    try:
        return str(attempt())
    except Exception as exc:
        return type(exc).__name__ + ": " + str(exc)

os.read(0, 65536)
said = [
    tried(lambda: open("/etc/passwd").read()),
    tried(lambda: open(f"/proc/{{os.getppid()}}/environ").read()),
    tried(lambda: os.close(2) or open("/etc/passwd").read()),
    tried(lambda: socket.socket()),
    tried(lambda: os.pipe()),
    tried(lambda: os.listdir("/")),
    " ".join(os.environ),
]
child._write(b"T", "\\n".join(said).encode())
os.read(0, 65536)
"""


def test_code_that_broke_out_of_the_sandbox_can_open_nothing(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "_BACKSTOP_SECONDS", 30)  # it starts an interpreter, beside other tests
    program(BROKEN_OUT.format(directory=str(CHILD.parent)))
    one = Renderer(memory_mb=512)
    said = one.render(request(), {1: {}}, lambda name: (MISSING, "no"), lambda: None).splitlines()
    one.close()
    assert [line for line in said[:6] if "Too many open files" not in line] == []
    assert said[-1] in ("", "LC_CTYPE")  # which Python sets itself


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ x|pprint }} {{ x|tojson }}", "1 1"),
        ("{{ 'a b c'|wordwrap(2) }}", "a\nb\nc"),
        ("{{ day.strftime('%d.%m.') }} {{ day.strptime('2024', '%Y').year }}", "03.02. 2024"),
        ("{{ net.network_address }} {{ d + 1 }}", "10.0.0.0 2.5"),
        ("{{ 'ä'.encode('latin-1')|length }} {{ [3, 1]|random > 0 }}", "1 True"),
        ("{{ 'see http://x.org'|urlize }} {{ lipsum(1)|length > 1 }}", None),
        ("{% filter upper %}a{% endfilter %}{{ '%05.1f'|format(d) }} {{ [1, 2]|batch(1)|list }}", "A001.5 [[1], [2]]"),
    ],
)
def test_what_templates_do_needs_no_file(text: str, made: str | None) -> None:
    data = {
        "x": 1,
        "day": datetime(2024, 2, 3),  # noqa: DTZ001  (as YAML gives it)
        "net": ipaddress.ip_network("10.0.0.0/8"),
        "d": Decimal("1.5"),
    }
    one = Renderer(memory_mb=512)
    try:
        found = one.render(request(**data), {1: {}}, lambda name: (SOURCE, text), lambda: None)
        assert found == made or made is None
    finally:
        one.close()


def test_its_program_is_of_its_parent_s_version_also_where_an_upgrade_has_replaced_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "child.py").write_text("raise SystemExit('of another version')")
    monkeypatch.setattr(child, "__file__", str(tmp_path / "child.py"))
    one = Renderer(memory_mb=512)
    try:
        assert one.render(request(), {1: {}}, lambda name: (SOURCE, "text"), lambda: None) == "text"
    finally:
        one.close()


def test_the_kernel_ends_it_in_time_though_its_parent_does_nothing() -> None:
    """A parent that waits for the database, say."""
    one = Renderer(memory_mb=512)
    process = psutil.Process(one.pid)

    def source(name: str) -> tuple[bytes, str]:
        wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        return MISSING, "no"

    started = time.monotonic()
    with pytest.raises(TemplateFailure, match=r"takes longer than 0\.5 seconds"):
        one.render(request(), {1: {}}, source, lambda: None)
    assert time.monotonic() - started >= 0.5
    assert process.pid == one.pid
    assert not one.alive


def test_it_ends_when_its_socket_does() -> None:
    one = Renderer(memory_mb=512)
    process = psutil.Process(one.pid)
    one.disown()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert process.wait(5) in (0, -signal.SIGKILL)


@pytest.mark.parametrize(("seconds", "limit"), [(0.5, 0.5), (20.0, child.AHEAD_LIMIT)])
def test_none_may_take_longer_ahead_than_in_its_turn(
    monkeypatch: pytest.MonkeyPatch, seconds: float, limit: float
) -> None:
    """The kernel's timer, as the real program sets it; a test can't see how long it would take."""
    order = pickle.dumps([tuple(request()._replace(seconds=seconds, secrets=1, shared={1: {}}))] * 2)
    frames = iter([(child.AHEAD, order), (child.SOURCE, b"text"), None])
    timers: list[float] = []
    sent: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(child, "_read", lambda: next(frames))
    monkeypatch.setattr(child, "_send", sent.extend)
    monkeypatch.setattr(signal, "setitimer", lambda _, seconds: timers.append(seconds))
    child._serve()
    assert timers == [limit, 0]
    assert sent == [(child.NEED, b"full.j2"), (child.TEXT, b"text"), (child.TEXT, b"text"), (child.END, b"")]
