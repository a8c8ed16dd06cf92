"""A lab of one test: its own inventory, templates and state directory, and a look at what is stored."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.models import Job
from jobs.states import Status
from jobs.testing import result_of
from tests.waiting import wait_until

# libyaml's writes the same in a quarter of the time, where PyYAML has it.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_texts: dict[str, str] = {}  # of what was written before, by its repr: most files are the same in each lab
TEMPLATE = "hostname {{ host }}\nmotd {{ motd }}\n"


class Lab:
    """Writes the files that ``NORNIR_CONFIG`` and ``CNAASJOBS_TEMPLATES`` name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config.yml"
        self.templates = directory / "templates"
        self.state = directory / "state"
        self.hosts: dict[str, dict[str, Any]] = {}
        self.defaults: dict[str, Any] = {}
        self.groups: dict[str, dict[str, Any]] = {"access": {"data": {"device_type": "ACCESS"}}}
        self.workers = 10
        self.template(TEMPLATE)
        self.write()

    def add(self, *names: str, group: str = "access", platform: str = "lab", motd: str = "hello", **args: Any) -> None:
        """Add hosts; ``args`` are the driver's optional_args."""
        for name in names:
            self.hosts[name] = {
                "platform": platform,
                "groups": [group],
                "data": {"motd": motd},
                "connection_options": {"napalm": {"extras": {"optional_args": args}}},
            }
        self.write()

    def change(self, name: str, **data: Any) -> None:
        self.hosts[name]["data"].update(data)
        self.write()

    def options(self, name: str, **args: Any) -> None:
        self.hosts[name]["connection_options"]["napalm"]["extras"]["optional_args"] = args
        self.write()

    def pending_file(self, name: str) -> Path:
        """Of a commit that waits for its confirmation."""
        (file,) = (self.state / "lab" / ".pending").glob(f"*/{name}")
        return file

    def write(self) -> None:
        config = {
            "inventory": {
                "plugin": "SimpleInventory",
                "options": {"host_file": "hosts.yml", "group_file": "groups.yml", "defaults_file": "defaults.yml"},
            },
            "runner": {"plugin": "threaded", "options": {"num_workers": self.workers}},
        }
        _dump(self.config, config)
        _dump(self.directory / "groups.yml", self.groups)
        _dump(self.directory / "hosts.yml", self.hosts)
        _dump(self.directory / "defaults.yml", {"username": "admin", "password": "device-password"} | self.defaults)

    def template(self, text: str, *, name: str = "full.j2", platform: str = "lab") -> None:
        directory = self.templates / platform
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
        mapping = {kind: {"entrypoint": "full.j2"} for kind in ("ACCESS", "DIST", "CORE")}
        _dump(directory / "mapping.yml", mapping)

    def running(self, name: str) -> str | None:
        """The file of a lab device; None while it has none."""
        file = self.state / "lab" / name
        return file.read_text() if file.exists() else None

    def set_running(self, name: str, text: str) -> None:
        file = self.state / "lab" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _dump(file: Path, content: Any) -> None:
    what = repr(content)
    if (text := _texts.get(what)) is None:
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False)
        if len(what) < 1000:
            _texts[what] = text
    file.write_text(text)


def ended(job_id: int) -> Job:
    """A job of real processes, once it has ended."""
    done = Job.objects.filter(pk=job_id, status__in=[Status.FINISHED, Status.EXCEPTION])
    wait_until(done.exists, timeout=60)
    return done.get()


def devices_of(job: Job) -> dict[str, Any]:
    """The devices of a finished sync."""
    result = result_of(job)
    assert result is not None, (job.status, job.exception_type)
    devices: dict[str, Any] = result["devices"]
    return devices


def reason(job: Job, host: str) -> str:
    """Why a device failed."""
    device = devices_of(job)[host]
    assert device["failed"] is True
    first, last = device["job_tasks"][0], device["job_tasks"][-1]
    assert first["failed"] is True
    assert last["failed"] is True
    assert first["result"] == last["result"]
    text: str = first["result"]
    return text


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, every field of it but the time: a number that a test looks for may be part of that."""
    clocks = {"created", "msecs", "relativeCreated"}
    fields = [
        (record.getMessage(), *(value for name, value in vars(record).items() if name not in clocks))
        for record in caplog.records
    ]
    return "\n".join(str(value) for values in fields for value in values)


def note(job: Job, host: str) -> str | None:
    """What the result says about a device that did not fail."""
    device = devices_of(job)[host]
    assert device["failed"] is False, device
    text: str | None = device["job_tasks"][0]["result"]
    return text
