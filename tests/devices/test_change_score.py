"""The change score: how risky a diff is."""

import pytest

from devices.sync.change_score import change_score


@pytest.mark.parametrize(
    "diff",
    [
        "",
        "\n",
        "@@ -1,2 +1,2 @@\n hostname sw1\n",
        "+! a comment\n-! another\n",
        "+   description uplink\n-   description downlink\n",
        "+set interfaces ge-0/0/0 description uplink\n",
        "+/* a comment */\n+# another\n",
        "--- running\n+++ candidate\n",
        "[edit system]\n",
        "+vlan 5\n-vlan 5\n",  # only moved
        "-vlan 5\n-vlan 5\n+vlan 5\n+vlan 5\n",
        "+\n-   \n",
        "+   no description uplink\n",
    ],
)
def test_what_hurts_nobody_scores_nothing(diff: str) -> None:
    assert change_score(diff) == 0


def test_ordinary_lines_score_little() -> None:
    assert change_score("+motd hello\n") == 1
    assert change_score("-motd hello\n") == 2
    assert change_score("-no motd\n") == 1  # turned on again
    assert change_score("+no motd\n") == 2
    assert change_score("-a\n-a\n+a\n") == 2  # one of them moved
    assert change_score("-a\n+a\n+a\n+a\n") == 2
    assert change_score("+the name of a neighborhood\n") == 1  # not a neighbor


@pytest.mark.parametrize(
    "line",
    [
        "ip address 10.0.0.1/24",
        "ipv6 address 2001:db8::1/64",
        "vlan 100",
        "switchport access vlan 100",
        "neighbor 10.0.0.2 remote-as 65000",
        "router bgp 65000",
        "ip route 0.0.0.0/0 10.0.0.1",
        "set routing-options static route 0.0.0.0/0 next-hop 10.0.0.1",
        "family inet address 10.0.0.1/24;",
    ],
)
def test_taking_away_what_carries_traffic_scores_much(line: str) -> None:
    removed = change_score(f"-   {line}\n")
    assert removed >= 10
    assert 1 < change_score(f"+   {line}\n") < removed
    assert 1 < change_score(f"-   no {line}\n") < removed
    assert change_score(f"+   no {line}\n") == removed


def test_a_shutdown_scores_like_something_taken_away() -> None:
    assert change_score("+   shutdown\n-   no shutdown\n") > change_score("+   no shutdown\n-   shutdown\n")


def test_a_replaced_address_scores_more_than_a_small_change() -> None:
    assert change_score("-   ip address 10.0.0.1/24\n+   ip address 10.0.0.2/24\n") > 9


def test_more_lines_score_more_up_to_a_hundred() -> None:
    scores = [change_score("".join(f"+line {n}\n" for n in range(count))) for count in (1, 10, 100, 1000)]
    assert scores == [1, 10, 100, 100]
