"""The alert rules and the dashboard of ``deploy/``: their names are those of /metrics, and each alert was made true.

A state of the database is made, ``/metrics`` is asked, and Prometheus's own tool evaluates the rules over what it said.
Its time begins at 0, so that times in the samples are moved there.
"""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.metric_models import MetricCount
from jobs.metrics import counted_here
from jobs.metrics.families import SUCCESS
from jobs.models import Heartbeat, Job
from jobs.upkeep_steps import UpkeepStep
from tests import fake_jobs
from tests.factory import claimed, heartbeat, hold_lock
from tests.metrics.folding import fold_all
from tests.services.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

RULES = ROOT / "deploy" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana.json"
MINUTES = 120  # when the rules are evaluated
LAST = 11  # of these minutes have the last scrape

Samples = Mapping[str, float]


def scraped() -> Samples:
    """What /metrics says, by series; times moved as if it were MINUTES after Prometheus's beginning."""
    text = Client(headers={"Host": "localhost"}).get("/metrics").content.decode()
    now = database_now().timestamp()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            moved = sample.value - now + 60 * MINUTES if "timestamp" in sample.name else sample.value
            found[f"{sample.name}{{{labels}}}"] = moved
    return found


def well() -> None:
    heartbeat("celery@w1", concurrency=4)
    heartbeat("beat", kind="beat", queues="[]")
    for step in UpkeepStep:
        counted_here.step_done(step, 0)


def no_worker() -> None:
    Heartbeat.objects.filter(kind="worker").delete()


def no_beat() -> None:
    Heartbeat.objects.filter(kind="beat").update(last_seen=database_now() - timedelta(minutes=5))


def due(minutes: int, *, queue: str) -> None:
    job = scheduling.schedule(fake_jobs.nothing, {}, queue=queue)
    Job.objects.filter(pk=job.pk).update(scheduled_time=database_now() - timedelta(minutes=minutes))


def lock_held_long() -> None:
    hold_lock("devices", 4711, start_time=database_now() - timedelta(hours=7))
    scheduling.schedule(fake_jobs.with_lock, {})


def worker_lost() -> None:
    run = claimed(scheduling.schedule(fake_jobs.nothing, {}))
    assert transitions.lose(run.job_id, run.run_token, type="WorkerLost", message="gone")
    fold_all()


def jobs_fail() -> None:
    for _ in range(8):
        run = claimed(scheduling.schedule(fake_jobs.nothing, {}))
        assert transitions.fail(run, Failure(type="ValueError", message="no"))
    fold_all()


def broker_away() -> None:
    record(JobAction.PUBLISH_FAILED, messages=3, error="away")


def last_success(step: UpkeepStep, *, minutes_ago: float) -> None:
    fold_all()
    at = database_now().timestamp() - 60 * minutes_ago
    assert MetricCount.objects.filter(name=SUCCESS.name, labels=json.dumps([step.value])).update(value=at) == 1


def upkeep_stands() -> None:
    last_success(UpkeepStep.RESCUE, minutes_ago=20)


TRUE: dict[str, list[Callable[[], None]]] = {
    "CnaasjobsNoWorker": [no_worker],
    "CnaasjobsNoBeat": [no_beat],
    "CnaasjobsQueueUnserved": [lambda: due(5, queue="fast")],
    "CnaasjobsQueueLate": [lambda: due(20, queue="default")],
    "CnaasjobsLockHeldLong": [lock_held_long],
    "CnaasjobsWorkersLost": [worker_lost],
    "CnaasjobsJobsFail": [jobs_fail],
    "CnaasjobsBrokerAway": [broker_away],
    "CnaasjobsUpkeepStands": [upkeep_stands],
    "CnaasjobsEventsStand": [lambda: counted_here.listened(3, looked=database_now().timestamp() - 300)],
    "CnaasjobsMetricsAway": [lambda: None],
}
UP = 'up{job="cnaasjobs"}'


def firing(scrapes: list[Samples], directory: Path, *, up: int = 1) -> set[str]:
    """Which alerts fire after these scrapes, each of which was made several times, a minute apart."""
    early = MINUTES + 1 - LAST
    names = sorted({name for scrape in scrapes for name in scrape})
    series = []
    for name in names:
        before = [str(scrape.get(name, "_")) for scrape in scrapes[:-1] for _ in range(early // len(scrapes[:-1]))]
        last = scrapes[-1].get(name)
        values = [*(before or ["_"] * early), *(["_"] * LAST if last is None else [str(last)] * LAST)]
        series.append({"series": name, "values": " ".join(values)})
    series.append({"series": UP, "values": f"{up}x{MINUTES}"})
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": f"{MINUTES}m", "alertname": alert, "exp_alerts": []} for alert in TRUE
                ],
            }
        ],
    }
    file = directory / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    found = set(re.findall(r"alertname: *(\w+)", said))
    assert bool(done.returncode) == bool(found), said
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_there_is_a_test_of_every_alert() -> None:
    assert [rule["alert"] for rule in rules()] == list(TRUE)


@pytest.mark.needs("promtool")
def test_promtool_finds_no_fault_in_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True)


@pytest.mark.needs("promtool")
def test_no_alert_fires_where_all_is_well(tmp_path: Path) -> None:
    well()
    scrape = scraped()
    assert firing([scrape, scrape], tmp_path) == set()


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("alert", TRUE)
def test_each_alert_fires_when_it_is_true(alert: str, tmp_path: Path) -> None:
    well()
    fold_all()
    scrapes = [scraped()]
    for make in TRUE[alert]:
        make()
        scrapes.append(scraped())
    assert firing(scrapes, tmp_path, up=0 if alert == "CnaasjobsMetricsAway" else 1) == {alert}


@pytest.mark.needs("promtool")
def test_a_step_that_this_release_does_not_have_fires_nothing(tmp_path: Path) -> None:
    """It came with a newer one, which was rolled back."""
    well()
    fold_all()
    MetricCount.objects.create(name=SUCCESS.name, labels='["of the next release"]', value=1.0)
    scrape = scraped()
    assert firing([scrape, scrape], tmp_path) == set()


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    ("step", "minutes_ago", "fires"),
    [
        (UpkeepStep.RESULTS, 65, False),  # it is called once an hour
        (UpkeepStep.CREDENTIALS, 15, False),  # every ten minutes
        (UpkeepStep.RESULTS, 200, True),
        (UpkeepStep.CREDENTIALS, 200, True),
    ],
)
def test_a_step_that_is_seldom_called_may_take_its_time(
    step: UpkeepStep, minutes_ago: float, fires: bool, tmp_path: Path
) -> None:
    well()
    last_success(step, minutes_ago=minutes_ago)
    scrape = scraped()
    assert firing([scrape, scrape], tmp_path) == ({"CnaasjobsUpkeepStands"} if fires else set())


@pytest.mark.needs("promtool")
def test_a_step_that_never_succeeded_is_told_of(tmp_path: Path) -> None:
    well()
    fold_all()
    MetricCount.objects.filter(name=SUCCESS.name, labels='["prune"]').delete()
    scrape = scraped()
    assert firing([scrape, scrape], tmp_path) == {"CnaasjobsUpkeepStands"}


@pytest.mark.needs("promtool")
def test_what_failed_before_prometheus_came_fires_nothing(tmp_path: Path) -> None:
    well()
    jobs_fail()
    worker_lost()
    scrape = scraped()
    assert firing([scrape], tmp_path) == firing([scrape, scrape], tmp_path) == set()


def test_rules_and_dashboard_name_only_what_metrics_has() -> None:
    well()
    worker_lost()
    counted_here.listened(3, looked=database_now().timestamp())
    due(5, queue="fast")
    lock_held_long()
    text = Client(headers={"Host": "localhost"}).get("/metrics").content.decode()
    families = {name for family in text_string_to_metric_families(text) for name in _names(family)}
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for expression in [*asked, *(rule["expr"] for rule in rules())]:
        for name in re.findall(r"cnaasjobs_\w+", expression):
            assert name in families, expression


def _names(family: Any) -> set[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
    return {f"{family.name}{suffix}" for suffix in suffixes}
