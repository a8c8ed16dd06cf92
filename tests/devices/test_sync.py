"""The sync of devices, run in-process the way a worker runs it: dry run, live, in sync, changed outside, failures."""

import json
import logging

import pytest
from pytest_django import Settings

from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.models import DeviceState
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice
from jobs.states import Status
from jobs.testing import exception_of, perform, perform_job
from tests.devices.lab import Lab, devices_of, logged, reason

pytestmark = pytest.mark.django_db(transaction=True)


def live(**kwargs: object) -> Job:
    return perform_job(sync_devices, **{"all": True, "dry_run": False, **kwargs})


def dry(**kwargs: object) -> Job:
    return perform_job(sync_devices, **{"all": True, **kwargs})


def test_a_dry_run_shows_the_diff_and_changes_nothing(lab: Lab) -> None:
    lab.add("sw1")
    job = dry()
    assert (job.status, job.function_name, job.finished_devices) == (
        Status.FINISHED,
        "sync_devices (dry_run)",
        '["sw1"]',
    )
    assert devices_of(job) == {
        "sw1": {
            "failed": False,
            "job_tasks": [
                {"diff": "", "failed": False, "result": None, "task_name": "push_sync_device"},
                {
                    "diff": "",
                    "failed": False,
                    "result": "hostname sw1\nmotd hello\n",
                    "task_name": "Generate device config",
                },
                {
                    "diff": "@@ -0,0 +1,2 @@\n+hostname sw1\n+motd hello",
                    "failed": False,
                    "result": None,
                    "task_name": "Sync device config",
                },
            ],
        }
    }
    assert job.change_score == 2
    assert JobDevice.objects.get(job=job).changed is True
    assert lab.running("sw1") is None


def test_keys_stand_in_the_order_of_the_contract(lab: Lab) -> None:
    lab.add("sw1", motd="café")
    job = dry()
    device = devices_of(job)["sw1"]
    assert job.outcome.result == json.dumps({"devices": {"sw1": device}}, ensure_ascii=False)  # byte for byte
    assert list(device) == ["failed", "job_tasks"]
    assert all(list(task) == ["diff", "failed", "result", "task_name"] for task in device["job_tasks"])


@pytest.mark.parametrize(
    ("mode", "seen"),
    [
        (0, ["a change of score 2, committed"]),
        (1, ["a change of score 2, committed with a timer, confirmed"]),
        (2, ["a change of score 2", "committed with a timer", "confirmed"]),  # the steps may be far apart
    ],
)
def test_a_live_sync_commits(lab: Lab, heard: list[Event], mode: int, seen: list[str]) -> None:
    lab.add("sw1", "sw2")
    job = live(confirm_mode=mode)
    said = [event.fields for event in heard if event.action is DeviceAction.DEVICE_SEEN]
    assert [fields["what"] for fields in said if (fields["host"], fields["job_id"]) == ("sw2", job.pk)] == seen
    assert job.status == Status.FINISHED
    assert sorted(json.loads(job.finished_devices or "")) == ["sw1", "sw2"]
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"
    assert lab.running("sw2") == "hostname sw2\nmotd hello\n"
    states = DeviceState.objects.filter(job_id=job.pk, uncertain_job_id=None)
    assert [state.host for state in states] == ["sw1", "sw2"]


def test_a_device_in_sync_is_reported_and_not_pushed(lab: Lab, heard: list[Event]) -> None:
    lab.add("sw1")
    live()
    lab.options("sw1", fail="open")
    job = live()
    device = devices_of(job)["sw1"]
    assert device["failed"] is False
    assert [task["diff"] for task in device["job_tasks"]] == ["", "", ""]
    assert device["job_tasks"][1]["result"] == "hostname sw1\nmotd hello\n"
    assert (job.finished_devices, job.change_score) == ('["sw1"]', 0)
    assert JobDevice.objects.get(job=job).changed is False
    assert DeviceAction.CLOSE_FAILED not in {event.action for event in heard}  # it was never connected
    assert "in sync" in [event.fields.get("what") for event in heard]


def test_resync_pushes_to_a_device_in_sync(lab: Lab) -> None:
    lab.add("sw1")
    live()
    lab.options("sw1", fail="open")
    assert reason(live(resync=True), "sw1") == "cannot connect: Cannot connect to sw1"


def test_a_new_rendering_is_pushed(lab: Lab) -> None:
    lab.add("sw1")
    live()
    lab.change("sw1", motd="goodbye")
    job = live()
    assert devices_of(job)["sw1"]["job_tasks"][2]["diff"].splitlines()[1:] == [
        " hostname sw1",
        "-motd hello",
        "+motd goodbye",
    ]
    assert lab.running("sw1") == "hostname sw1\nmotd goodbye\n"


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_device_changed_outside_fails_and_shows_the_diff(lab: Lab, dry_run: bool) -> None:
    lab.add("sw1")
    live()
    lab.change("sw1", motd="new")
    lab.set_running("sw1", "hostname intruder\n")
    job = perform_job(sync_devices, all=True, dry_run=dry_run)
    assert "changed outside" in reason(job, "sw1")
    assert "-hostname intruder" in devices_of(job)["sw1"]["job_tasks"][2]["diff"]
    assert lab.running("sw1") == "hostname intruder\n"


def test_comments_are_no_change_from_outside(lab: Lab, heard: list[Event]) -> None:
    lab.add("sw1")
    live()
    lab.change("sw1", motd="new")
    lab.set_running("sw1", "! Last configuration change at 12:00:01\nhostname sw1\n\t # by ann\nmotd hello\n")
    assert devices_of(live())["sw1"]["failed"] is False
    commented = "! Last configuration change at 12:00:02\nhostname sw1\nmotd new\n"
    lab.set_running("sw1", commented)
    assert devices_of(live(force=True))["sw1"]["failed"] is False
    assert lab.running("sw1") == commented  # there is nothing to overwrite
    assert "in sync" in [event.fields.get("what") for event in heard]


def test_force_overwrites_what_was_changed_outside(lab: Lab) -> None:
    lab.add("sw1")
    live()
    lab.set_running("sw1", "hostname intruder\n")
    assert devices_of(live())["sw1"]["failed"] is False
    assert lab.running("sw1") == "hostname intruder\n"  # in sync as far as we know: nobody looked
    assert "changed outside" in reason(dry(), "sw1")  # a dry run always looks
    assert devices_of(live(force=True))["sw1"]["failed"] is False
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"


def test_a_device_that_runs_the_rendered_configuration_already_becomes_in_sync(lab: Lab, heard: list[Event]) -> None:
    lab.add("sw1", fail="commit")
    lab.set_running("sw1", "hostname sw1\nmotd hello\n")
    job = live()
    assert (devices_of(job)["sw1"]["failed"], job.change_score) == (False, 0)
    assert "no change" in [event.fields.get("what") for event in heard]
    lab.options("sw1", fail="open")
    assert devices_of(live())["sw1"]["failed"] is False


@pytest.mark.parametrize(
    ("fail", "said", "tasks"),
    [
        ("open", "cannot connect: Cannot connect to bad", 3),
        ("auth", "cannot connect: wrong credentials (Authentication to bad failed)", 3),
        ("load", "configuration not accepted: % Invalid input detected", 3),
        ("commit", "commit failed: Commit refused by the device", 3),
    ],
)
@pytest.mark.parametrize("mode", [0, 1])
def test_one_devices_failure_does_not_stop_the_others(lab: Lab, fail: str, said: str, tasks: int, mode: int) -> None:
    lab.add("sw1")
    lab.add("bad", fail=fail)
    lab.add("sw2")
    job = live(confirm_mode=mode)
    assert job.status == Status.FINISHED
    assert list(devices_of(job)) == ["sw1", "bad", "sw2"]
    assert reason(job, "bad") == said
    assert len(devices_of(job)["bad"]["job_tasks"]) == tasks
    assert sorted(json.loads(job.finished_devices or "")) == ["bad", "sw1", "sw2"]
    assert (lab.running("sw1"), lab.running("bad")) == ("hostname sw1\nmotd hello\n", None)
    assert [state.host for state in DeviceState.objects.all()] == ["sw1", "sw2"]


def test_a_template_error_ends_as_a_short_reason_before_the_device_is_touched(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.template("hostname {{ host }}\nmotd {{ nosuch }}\n")
    lab.add("sw1", fail="open")
    with caplog.at_level(logging.ERROR):
        job = dry()
    assert reason(job, "sw1") == "template full.j2 line 2: 'nosuch' is undefined"
    assert [task["task_name"] for task in devices_of(job)["sw1"]["job_tasks"]] == [
        "push_sync_device",
        "Generate device config",
    ]
    (record,) = [record for record in caplog.records if record.name == "devices"]
    assert "Traceback" in record.trace  # type: ignore[attr-defined]
    assert (record.job_id, record.host) == (job.pk, "sw1")  # type: ignore[attr-defined]


def test_a_failures_traceback_is_in_the_log_under_job_and_host(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.add("sw1", fail="open")
    with caplog.at_level(logging.ERROR):
        job = dry()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "ConnectionException: Cannot connect to sw1" in record.trace  # type: ignore[attr-defined]
    assert (record.job_id, record.host) == (job.pk, "sw1")  # type: ignore[attr-defined]


def test_secrets_reach_the_device_and_nothing_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret, other = 'S3cr"t<&>\\x', "0therSecret"
    monkeypatch.setenv("TEMPLATE_SECRET_SNMP", secret)
    monkeypatch.setenv("TEMPLATE_SECRET_OTHER", other)
    lab.template("snmp {{ TEMPLATE_SECRET_SNMP }}\nkey {{ TEMPLATE_SECRET_OTHER }}\n{{ {'a': 1}[motd] }}\n")
    lab.add("broken", motd=other)
    lab.add("sw1", motd="a")
    with caplog.at_level(logging.DEBUG):
        job = live()
    assert lab.running("sw1") == f"snmp {secret}\nkey {other}\n1\n"
    stored = job.outcome.result
    assert stored is not None
    assert "TEMPLATE_SECRET_SNMP" in devices_of(job)["sw1"]["job_tasks"][2]["diff"]
    assert "key TEMPLATE_SECRET_OTHER" in devices_of(job)["sw1"]["job_tasks"][1]["result"]
    assert devices_of(job)["broken"]["failed"] is True
    for text in (stored, job.start_arguments, logged(caplog)):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert other not in text


def test_a_changed_secret_is_out_of_sync(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.template("key {{ TEMPLATE_SECRET_KEY }}\n")
    lab.add("sw1")
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "first-value")
    live()
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "second-value")
    live()
    assert lab.running("sw1") == "key second-value\n"


def test_states_outlive_a_rotation_of_the_secret_key(lab: Lab, settings: Settings) -> None:
    lab.add("sw1")
    live()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    lab.options("sw1", fail="open")
    assert devices_of(live())["sw1"]["failed"] is False


def test_the_selection_is_made_again_when_the_job_starts(lab: Lab) -> None:
    lab.add("sw1")
    job = sync_devices.schedule(all=True)
    lab.add("sw2")
    assert list(devices_of(perform(job))) == ["sw1", "sw2"]


def test_a_device_that_is_gone_when_the_job_starts_ends_it_with_the_reason(lab: Lab) -> None:
    lab.add("sw1")
    job = sync_devices.schedule(hostnames=["sw1"])
    lab.hosts.clear()
    lab.write()
    stored = exception_of(perform(job))
    assert stored is not None
    assert stored["message"] == "No device with hostname sw1 found in the inventory"


def test_no_devices_is_a_job_that_finishes(lab: Lab) -> None:
    job = perform_job(sync_devices, device_type="core")
    assert (job.status, job.finished_devices, job.change_score) == (Status.FINISHED, "[]", 0)
    assert devices_of(job) == {}


def test_start_arguments_say_what_was_asked(lab: Lab) -> None:
    lab.add("sw1")
    assert json.loads(dry(group="access", all=False).start_arguments) == {
        "hostnames": None,
        "device_type": None,
        "group": "access",
        "all": False,
        "dry_run": True,
        "force": False,
        "resync": False,
        "auto_push": False,
        "confirm_mode": None,
    }
