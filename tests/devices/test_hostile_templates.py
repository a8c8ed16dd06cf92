"""Templates that attack: none leaves the sandbox, none outlives its limits, and the next device is rendered."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from cnaasjobs.secrecy import Secrets
from devices.rendering import refresh, render, warm_up
from devices.rendering.renderers import PROCESSES, pool
from jobs.errors import JobAborted
from tests.devices.lab import Lab
from tests.devices.rendered import failure, host, rendered
from tests.waiting import wait_until

SECRET = "S3cret-of-the-platform"


@pytest.fixture(autouse=True)
def hosts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    lab.add("sw1")
    lab.hosts["sw1"]["data"] |= {"vlans": [{"id": 100}], "names": {"a": 1}}
    lab.write()


@pytest.fixture(autouse=True)
def the_next_device_is_rendered(lab: Lab, hosts: None) -> Iterator[None]:
    yield
    assert rendered(lab, "hostname {{ host }}") == "hostname sw1"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ lipsum.__globals__['os'].environ }}",
        "{{ joiner.__init__.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ host.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ host|attr('__class__') }}",
        "{{ [host]|map(attribute='__class__')|first }}",
        "{{ host['__class__'] }}",
        "{{ '{0.__class__}'.format(host) }}",
        "{{ '{x.__class__}'.format_map({'x': host}) }}",
        "{{ ('{0.__class__}'|attr('format'))(host) }}",
        "{{ (['{0.__class__}']|map(attribute='format')|first)(host) }}",
        "{{ (vlans|map('upper')).gi_frame.f_globals }}",
        "{{ dict.mro() }}",
        "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m._environment.loader }}",
        "{% import 'full.j2' as full %}{{ full.__init__ }}",
        "{{ loop.__init__ }}",
        "{{ cycler.next.__globals__ }}",
        "{{ vlans.append(1) }}",
        "{{ vlans.clear() }}",
        "{{ vlans[0].update(id=1) }}",
        "{{ names.pop('a') }}",
        "{{ open('/etc/passwd').read() }}",
        "{{ config }}",
    ],
)
def test_nothing_leaves_the_sandbox(lab: Lab, attack: str) -> None:
    said = failure(lab, attack)
    assert any(word in said for word in ("unsafe", "is undefined", "has no attribute", "recursion")), said
    assert SECRET not in said


# --- limits ---------------------------------------------------------------------------------------------------------

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% if a > b %}{% endif %}{% endfor %}{% endfor %}"
IN_C = "{{ 3 ** (10 ** 8) > 1 }}"  # one computation, which looks at no signal
DOUBLED = "{% set n = namespace(l=[0]) %}{% for i in range(40) %}{% set n.l = n.l + n.l %}{% endfor %}"


@pytest.mark.parametrize(
    "attack", [ENDLESS, IN_C, "{{ (range(99999)|list * 99)|sort|unique|map('string')|list|length }}"]
)
def test_a_template_that_takes_too_long_fails(lab: Lab, settings: Settings, attack: str) -> None:
    settings.CNAASJOBS_RENDER_SECONDS = 0.5
    said = failure(lab, attack)
    assert said == "template full.j2: rendering takes longer than 0.5 seconds (CNAASJOBS_RENDER_SECONDS)"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ 'a' * 700 * 1024 * 1024 }}",
        "{{ 'a'|center(10 ** 10) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ [0] * 10 ** 9 }}",
        DOUBLED,
        "{% set n = namespace(l='a') %}{% for i in range(40) %}{% set n.l = n.l ~ n.l %}{% endfor %}",
        "{% macro m() %}{{ 'a' * 50000000 }}{% endmacro %}{{ m() }}{{ m() }}{{ m() }}{{ m() }}",
    ],
)
def test_a_template_that_needs_too_much_memory_fails(lab: Lab, settings: Settings, attack: str) -> None:
    settings.CNAASJOBS_RENDER_MEMORY_MB = 160
    said = failure(lab, attack)
    assert said == "template full.j2: rendering needs more than 160 MB of memory (CNAASJOBS_RENDER_MEMORY_MB)"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ 'a' * 3000000 }}",
        "{{ '€' * 500000 }}",
        "{% for i in range(99999) %}{{ 'a' * 99 }}\n{% endfor %}",
        "{% for i in range(99999) %}{{ 'a' * 20000 }}\n{% endfor %}",  # more than its memory holds, if it went on
    ],
)
def test_rendering_ends_by_the_size_of_what_it_makes(lab: Lab, settings: Settings, attack: str) -> None:
    settings.CNAASJOBS_RENDER_OUTPUT_MB = 1
    said = failure(lab, attack)
    assert said == "template full.j2: the configuration is larger than 1 MB (CNAASJOBS_RENDER_OUTPUT_MB)"


def test_a_large_configuration_is_rendered(lab: Lab) -> None:
    assert len(rendered(lab, "{% for i in range(90000) %}{{ 'é' * 50 }}\n{% endfor %}")) == 90000 * 51


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("{% for i in range(10 ** 13) %}{% endfor %}", "full.j2 line 1: Range too big"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "full.j2 line 1: maximum recursion depth exceeded"),
        ("{% include 'full.j2' %}", "maximum recursion depth exceeded"),
        ("{% extends 'full.j2' %}", "recursion"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "maximum recursion depth exceeded"),
        ("{% if true %}" * 500 + "{% endif %}" * 500, "full.j2"),
        ("{{ 1" + " + 1" * 20000 + " }}", "full.j2"),
    ],
)
def test_what_has_no_end_is_an_error(lab: Lab, attack: str, said: str) -> None:
    assert said in failure(lab, attack)


def test_an_abort_ends_what_renders_and_what_waits_for_a_place(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many devices as there are processes, none of which ever ends."""
    monkeypatch.setattr("devices.rendering.renderer.PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("devices.rendering.renderers.PAUSE_SECONDS", 0.1)
    lab.template(ENDLESS)
    refresh()
    asked: set[int] = set()
    everyone = 2 * PROCESSES

    def wanted() -> None:
        asked.add(threading.get_ident())
        if len(asked) == everyone:
            raise JobAborted("enough")

    def one_device() -> str:
        return render(host(), Secrets({}), wanted)

    with ThreadPoolExecutor(everyone) as threads:
        devices = [threads.submit(one_device) for _ in range(everyone)]
    assert [type(device.exception()) for device in devices] == [JobAborted] * everyone
    assert [child for child in renderers() if child.cpu_percent(0.2) > 50] == []


# --- the process ----------------------------------------------------------------------------------------------------


def renderers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "child.py" in " ".join(child.cmdline())]


def is_shut(process: psutil.Process) -> bool:
    """The last that it does before its first device."""
    return process.rlimit(psutil.RLIMIT_NOFILE) == (0, 0)


def test_a_process_has_nothing_of_ours_and_the_kernels_limits(lab: Lab) -> None:
    assert rendered(lab, "{{ host }}") == "sw1"
    found = renderers()
    assert 0 < len(found) <= PROCESSES
    for process in found:
        wait_until(partial(is_shut, process))
        assert process.environ() == {}
        assert process.cwd() == "/"
        files = {Path(f"/proc/{process.pid}/fd/{fd}").readlink().name for fd in (0, 1, 2)}
        assert {name.partition(":")[0] for name in files} == {"socket", "null"}
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) == 3
        assert process.rlimit(psutil.RLIMIT_AS) == (512 << 20, 512 << 20)
        for limit in (psutil.RLIMIT_FSIZE, psutil.RLIMIT_CORE, psutil.RLIMIT_NPROC):
            assert process.rlimit(limit) == (0, 0)


def test_a_job_of_many_devices_starts_no_more_than_it_uses(lab: Lab) -> None:
    lab.template("{{ host }}")
    for _ in range(3):
        refresh()
        warm_up()
        with ThreadPoolExecutor(20) as threads:
            assert set(threads.map(lambda _: render(host(), Secrets({})), range(100))) == {"sw1"}
        assert len(renderers()) <= PROCESSES


def test_a_job_that_begins_starts_one_and_only_if_there_is_none(lab: Lab) -> None:
    pool().close()
    lab.template("{{ host }}")
    warm_up()
    warm_up()
    assert render(host(), Secrets({})) == "sw1"
    (one,) = renderers()
    warm_up()
    assert render(host(), Secrets({})) == "sw1"
    assert renderers() == [one]


def test_no_other_is_started_for_a_device_that_comes_while_one_renders(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.rendering.renderers._PATIENCE_SECONDS", 60.0)
    pool().close()
    assert rendered(lab, "{{ host }}") == "sw1"
    (one,) = renderers()
    with ThreadPoolExecutor(1) as threads:
        with pool().renderer(memory_mb=512, wanted=lambda: None):
            another = threads.submit(render, host(), Secrets({}))
            wait_until(lambda: pool()._changed._waiters)  # type: ignore[attr-defined]
        assert another.result() == "sw1"
    assert renderers() == [one]


def test_rendering_processes_are_used_again(lab: Lab) -> None:
    for _ in range(3):
        assert rendered(lab, "{{ host }}") == "sw1"
        before = {process.pid for process in renderers()}
    for number in range(50):
        assert render(host(), Secrets({"TEMPLATE_SECRET_A": str(number)})) == "sw1"
    assert {process.pid for process in renderers()} <= before
