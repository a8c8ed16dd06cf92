"""A process writes the whole of a device, once, and only of devices that it has in hand."""

from typing import Any

import pytest

from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.sql import store
from jobs.sql.device_signature import Batch, Begun, Note, Over, Stepped
from jobs.states import JobDeviceState
from tests.fake_jobs import fleets
from tests.fleet.parts import DONE, TAKEN, aborted, begun, cleared, ended, joined, joined_late, leave, lose, named, over

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def device(**columns: Any) -> dict[str, Any]:
    return {**JobDevice.objects.values().get(**columns)}


def test_all_that_is_known_of_a_device_is_stored_and_stays() -> None:
    run, taken = begun(["a"], take=1)
    told: dict[str, Any] = {
        "failed": True,
        "reason": "why",
        "change_score": 7,
        "report": '"r"',
        "memo": '{"m": 1}',
        "changed": True,
    }
    store().write_devices(run, Batch([Over(taken[0].id, **told, taken_back=True, age=0.0)]))
    stored = device(host="a")
    assert stored.items() >= {**told, "taken_back": True, "state": DONE}.items()
    (mine,) = (one.id for one in taken)
    for late in _anything_of(mine):
        store().write_devices(run, late)
    assert not store().note_steps(run, [Note(mine, "commit", None)]).noted
    assert device(host="a") == stored


def test_a_step_that_was_finished_stays_so() -> None:
    run, taken = begun(["a"], take=1)
    for steps in (2, 1):
        store().write_devices(run, Batch(stepped=[Stepped(taken[0].id, steps)]))
    assert device(host="a")["steps_over"] == 2


def test_nobody_notes_a_step_of_what_another_has_in_hand() -> None:
    run, taken = begun(["a", "b"], take=1)
    assert not store().note_steps(joined(run), [Note(taken[0].id, "commit", None)]).noted
    assert device(host="a")["step"] == ""


def _anything_of(device: int) -> list[Batch]:
    return [
        Batch([over(device)]),
        Batch(stepped=[Stepped(device, 1)]),
        Batch(unbegun=[device]),
        Batch(begun=[Begun(device, age=3600.0)]),
    ]


def test_finished_devices_are_shown_in_the_order_in_which_they_ended_without_those_taken_back() -> None:
    run, taken = begun(["ä", "b", "c", "d"], take=4)
    a, b, c, d = (one.id for one in taken)
    done: dict[str, Any] = {"failed": False, "reason": None, "change_score": 0, "report": '"r"', "memo": None}
    ends = [Over(a, **done, age=1.0), Over(b, **done, age=5.0), Over(c, **done, taken_back=True, age=3.0)]
    store().write_devices(run, Batch(ends))
    assert store().finished_hosts(run.job_id) == ["b", "ä"]

    def shown() -> str | None:
        return Job.objects.get(pk=run.job_id).finished_devices

    store().show_progress(run, seconds=60)
    assert shown() == '["b", "ä"]'
    store().write_devices(run, Batch([over(d)]))
    store().show_progress(run, seconds=60)
    assert shown() == '["b", "ä"]', "it was shown a moment ago"
    store().show_progress(run, seconds=0)
    assert shown() == '["b", "ä", "d"]'


def test_a_process_that_takes_part_no_more_shows_nothing() -> None:
    run, taken = begun(["a"], take=1)
    store().write_devices(run, Batch([over(taken[0].id)]))
    Participant.objects.all().delete()
    store().show_progress(run, seconds=0)
    assert Job.objects.get(pk=run.job_id).finished_devices == "[]"


def test_a_participant_that_was_judged_lost_leaves_the_run_in_its_name() -> None:
    """Who did so ends the run in a moment, or hands it on."""
    run, _ = begun()
    Participant.objects.all().delete()
    assert leave(run, though_waiting=True).last
    assert (named(run), Fleet.objects.get().orphan) == (run.run_token, None)


def test_in_a_run_that_an_earlier_release_ended_nobody_changes_anything() -> None:
    """It knows no participants, and leaves them."""
    run, taken = begun(take=2, task=fleets.each_with_result)
    joined(run, task_name=fleets.each_with_result.name)
    assert transitions.fail(run, Failure(type=EndReason.WORKER_LOST, message="its worker is gone"))

    def stored() -> list[Any]:
        return [row for model in (Job, Participant, JobDevice) for row in model.objects.order_by("pk").values()]

    before = stored()
    assert not store().write_devices(run, Batch()).is_mine
    assert store().take_devices(run, 2)[1] == []
    store().note_steps(run, [Note(taken[1].id, "commit", None)])
    store().show_progress(run, seconds=0)
    assert store().lose_unrecorded(run, JobDeviceState.TAKEN) == 0
    assert leave(run).gone
    assert stored() == before


def test_a_participant_that_comes_back_after_the_end_of_the_run_is_not_the_last_one_out() -> None:
    run, _ = begun(["a"], take=1)
    assert lose(run)
    back = leave(run)
    assert (back.gone, back.last, back.tally) == (True, False, None)


@pytest.mark.parametrize("stop", [aborted, cleared, ended])
def test_in_a_run_that_may_not_go_on_nothing_is_taken_and_no_step_is_noted(stop: Any) -> None:
    run, (mine,) = begun(take=1)
    stop(run)
    assert store().take_devices(run, 3)[1] == []
    assert not store().note_steps(run, [Note(mine.id, "commit", None)]).noted
    assert device(host="a")["step"] == ""


def test_a_process_that_was_judged_lost_changes_nothing_of_what_another_has_in_hand_since() -> None:
    run, taken = begun(["a"], take=1, repeats=True)
    helper = joined_late(run)
    assert lose(run)
    assert [one.id for one in store().take_devices(helper, 1, tried=True)[1]] == [taken[0].id]
    (mine,) = (one.id for one in taken)
    before = device(host="a")
    assert before["state"] == TAKEN
    for batch in _anything_of(mine):
        store().write_devices(run, batch)
        leave(run, batch)
    store().note_steps(run, [Note(mine, "commit", None)])
    assert device(host="a") == before
