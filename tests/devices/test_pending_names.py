"""What NAPALM's own drivers know of the commit that is pending: whose it is."""

from typing import Any
from xml.etree.ElementTree import fromstring

from napalm.eos.eos import EOSDriver
from napalm.ios.ios import IOSDriver
from napalm.junos.junos import JunOSDriver

from devices.drivers import pending_name


def eos(sessions: dict[str, Any]) -> EOSDriver:
    driver = EOSDriver("r1", "admin", "admin")
    driver._run_commands = lambda commands, **_: [sessions]
    return driver


def test_eos_tells_commits_by_their_session() -> None:
    assert pending_name(eos({"sessions": {"napalm_1": {"state": "completed", "instances": {}}}})) == ""
    new = {"commitTimerSessionName": "napalm_771", "commitTimerExpireTime": 1.0, "sessions": {}}
    assert pending_name(eos(new)) == "napalm_771"
    assert pending_name(eos({**new, "commitTimerSessionName": "by_hand"})) == "by_hand"


def ios(timer: str) -> IOSDriver:
    class Connection:
        def send_command(self, command: str) -> str:
            return timer if command.endswith("timer") else "The maximum archive configurations allowed is 10."

    driver = IOSDriver("r1", "admin", "admin")
    driver.device = Connection()
    return driver


def test_ios_tells_commits_by_who_began_them_and_when() -> None:
    shown = "Time configured(or reconfigured): {}\nTimer type: absolute timer\nTimer value: {} min\nUser: {}"
    first = pending_name(ios(shown.format("22:50:50 UTC Mon Mar 8 2021", 2, "admin")))
    assert first == pending_name(ios(shown.format("22:50:50 UTC Mon Mar 8 2021", 1, "admin")))
    assert first not in (
        pending_name(ios(shown.format("22:51:10 UTC Mon Mar 8 2021", 2, "admin"))),
        pending_name(ios(shown.format("22:50:50 UTC Mon Mar 8 2021", 2, "olga"))),
    )
    assert pending_name(ios("No Rollback Confirmed Change pending")) == ""


def junos(revision: str, comment: str | None) -> JunOSDriver:
    said = "" if comment is None else f"<comment>{comment}</comment>"
    revised = f'<reply><date-time seconds="1616554286"/><revision>{revision}</revision>{said}</reply>'
    uptime = '<reply><current-time><date-time seconds="1616554300"/></current-time></reply>'

    class Rpc:
        def get_commit_revision_information(self, *, detail: bool) -> Any:
            return fromstring(revised)

        def get_system_uptime_information(self) -> Any:
            return fromstring(uptime)

    driver = JunOSDriver("r1", "admin", "admin")
    driver.device.rpc = Rpc()
    return driver


def test_junos_tells_commits_by_their_revision() -> None:
    ours = "commit confirmed, rollback in 5mins"
    assert pending_name(junos("re0-1616554286-559", ours)) == "re0-1616554286-559"
    assert pending_name(junos("re0-1616554299-560", ours)) == "re0-1616554299-560"
    assert pending_name(junos("re0-1616554286-559", None)) == ""


def test_a_driver_whose_answer_is_no_dictionary_can_not_tell() -> None:
    driver = eos({})
    driver._get_pending_commits = lambda: ["re0-1616554286-559"]
    assert pending_name(driver) is None
