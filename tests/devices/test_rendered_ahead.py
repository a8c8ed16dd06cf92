"""Configurations that are rendered in batches before their devices begin are the same as those rendered one by one."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from nornir.core.inventory import Host

from cnaasjobs.secrecy import Secrets
from devices import inventory
from devices.rendering import RenderedAhead, TemplateFailure, refresh, rendered, warm_up
from devices.rendering.renderer import Renderer
from devices.rendering.renderers import PROCESSES, pool
from devices.tasks import sync_devices
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.lab import Lab

SECRETS = Secrets({"TEMPLATE_SECRET_SNMP": "community-77"})
SLOW = "{% for a in range(500) %}{% for b in range(500) %}{% if a > b %}{% endif %}{% endfor %}{% endfor %}"
ENDLESS = SLOW.replace("500", "99999")


class InTurn:
    """The hosts whose configuration was not there when their turn came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts: list[str] = []
        render = rendered.render

        def noted(host: Host, *args: Any) -> str:
            self.hosts.append(host.name)
            return render(host, *args)

        monkeypatch.setattr(rendered, "render", noted)


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> InTurn:
    return InTurn(monkeypatch)


@pytest.fixture
def hosts(lab: Lab) -> Iterator[list[Host]]:
    lab.template("{{ host }} {{ motd }} {{ TEMPLATE_SECRET_SNMP }}")
    lab.add(*(f"sw{number}" for number in range(12)))
    refresh()
    warm_up()
    yield found()
    pool().close()  # the next test's templates are others


def found() -> list[Host]:
    return list(inventory.nornir().inventory.hosts.values())


def expected(hosts: list[Host]) -> RenderedAhead:
    ahead = RenderedAhead(SECRETS)
    ahead.expect(hosts)
    return ahead


def all_of(ahead: RenderedAhead, hosts: list[Host]) -> list[str]:
    return [ahead.render(host, lambda: None) for host in hosts]


def test_it_is_the_same_as_in_its_turn_and_no_message_more(lab: Lab, hosts: list[Host], in_turn: InTurn) -> None:
    texts = all_of(expected(hosts), hosts)
    assert in_turn.hosts == []
    assert texts == [f"{host.name} hello community-77" for host in hosts] == all_of(RenderedAhead(SECRETS), hosts)
    assert len(in_turn.hosts) == 12


def test_each_is_given_out_once(hosts: list[Host], in_turn: InTurn) -> None:
    ahead = expected(hosts)
    assert all_of(ahead, hosts) == all_of(ahead, hosts)
    assert in_turn.hosts == [host.name for host in hosts]


def test_few_are_left_to_their_turn(hosts: list[Host], in_turn: InTurn) -> None:
    all_of(expected(hosts[:3]), hosts[:3])
    assert in_turn.hosts == ["sw0", "sw1", "sw2"]


def test_one_that_has_none_says_why_in_its_turn(lab: Lab, hosts: list[Host], in_turn: InTurn) -> None:
    lab.template("{{ host }} {{ vlan }}")
    for number in range(12):
        lab.change(f"sw{number}", **({} if number == 5 else {"vlan": number}))
    refresh()
    hosts = found()
    ahead = expected(hosts)
    with pytest.raises(TemplateFailure, match="'vlan' is undefined"):
        all_of(ahead, hosts)
    assert all_of(ahead, hosts[6:]) == [f"sw{number} {number}" for number in range(6, 12)]
    assert in_turn.hosts == ["sw5"]


def test_those_of_another_platform_are_rendered_by_its_own_templates(lab: Lab, in_turn: InTurn) -> None:
    lab.template("lab {{ host }}")
    lab.template("other {{ host }}", platform="other")
    lab.add("sw0", "sw1", "sw2")
    lab.add("sw3", "sw4", platform="other")
    lab.add("sw5", platform="without templates")
    refresh()
    hosts = found()
    ahead = expected(hosts)
    assert all_of(ahead, hosts[:5]) == ["lab sw0", "lab sw1", "lab sw2", "other sw3", "other sw4"]
    assert in_turn.hosts == []
    with pytest.raises(TemplateFailure, match="without templates"):
        all_of(ahead, hosts[5:])


def test_where_templates_are_slow_the_devices_wait_for_nobody_elses(
    lab: Lab, hosts: list[Host], in_turn: InTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.template("{{ host }}" + SLOW)
    refresh()
    ahead = expected(hosts)
    assert all_of(ahead, hosts) == [host.name for host in hosts]
    assert 0 < len(in_turn.hosts) < 12, "some were quick enough, and not all"
    assert len(in_turn.hosts) > 6, "more than half were not: it does not pay"
    monkeypatch.setattr(Renderer, "render_ahead", lambda *_: pytest.fail("it is not tried again"))
    ahead.expect(hosts)


def test_one_without_end_is_ended_and_those_after_it_have_their_turn(
    lab: Lab, hosts: list[Host], in_turn: InTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.template("{% if host == 'sw0' %}" + ENDLESS + "{% endif %}{{ host }}")
    refresh()
    ahead = expected(hosts)
    assert all_of(ahead, hosts[1:]) == [host.name for host in hosts[1:]]
    assert len(in_turn.hosts) == 11
    monkeypatch.setattr(Renderer, "render_ahead", lambda *_: pytest.fail("it is not tried again"))
    ahead.expect(hosts)


def test_a_large_one_is_left_to_its_turn(lab: Lab, hosts: list[Host], in_turn: InTurn) -> None:
    lab.template("{{ host }}{% if host == 'sw1' %}{{ 'x' * 300000 }}{% endif %}")
    refresh()
    assert [len(text) for text in all_of(expected(hosts), hosts[:3])] == [3, 300_003, 3]
    assert in_turn.hosts == ["sw1"]


def test_together_they_are_no_larger_than_the_largest(lab: Lab, hosts: list[Host], in_turn: InTurn) -> None:
    lab.template("{{ 'x' * 100000 }}")
    refresh()
    all_of(expected(hosts), hosts)
    assert in_turn.hosts == [host.name for host in hosts[3:]]


def test_data_that_cannot_be_passed_on_spoil_nobody_elses_turn(hosts: list[Host], in_turn: InTurn) -> None:
    hosts[2].data["motd"] = lambda: "a function"
    ahead = expected(hosts)
    assert all_of(ahead, hosts[:2]) == ["sw0 hello community-77", "sw1 hello community-77"]
    with pytest.raises(TemplateFailure, match="its data can't be passed to the templates"):
        all_of(ahead, hosts[2:])


def test_nobody_waits_for_a_process_that_is_busy(hosts: list[Host], in_turn: InTurn) -> None:
    with ExitStack() as busy:
        for _ in range(PROCESSES):
            busy.enter_context(pool().renderer(memory_mb=512, wanted=lambda: None))
        ahead = expected(hosts)
    assert all_of(ahead, hosts)[0] == "sw0 hello community-77"
    assert len(in_turn.hosts) == 12


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_sync_renders_its_devices_ahead(lab: Lab, hosts: list[Host], in_turn: InTurn, dry_run: bool) -> None:
    lab.template("hostname {{ host }}")
    lab.workers = len(hosts)
    lab.write()
    assert perform_job(sync_devices, all=True, dry_run=dry_run).status == Status.FINISHED
    assert in_turn.hosts == []
