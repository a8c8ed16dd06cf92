"""The chaos run's short form, for CI: two minutes of it, with every promise checked as in the long one."""

import pytest

from tests.chaos.__main__ import main

FAULTS = 8


@pytest.mark.long("minutes")
@pytest.mark.needs("postgresql", "rabbitmq")
@pytest.mark.timeout(600)
# A client's library may leave a connection open whose server was killed in the middle of an answer.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_two_minutes_of_chaos_break_no_promise(capfd: pytest.CaptureFixture[str]) -> None:
    # Other tests run beside it on the same two cores.
    code = main(["--jobs", "100", "--faults", str(FAULTS), "--scale", "2"])
    assert code == 0, capfd.readouterr().out
