"""How ``make run`` reads its environment, and the environment that it gives to its processes."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cnaasjobs.run.config import ROOT, ROOT_REMARK, Config, StartError, child_environment, is_loopback, shown_url


@pytest.mark.parametrize(("text", "port"), [("", 8000), ("0", 0), ("65535", 65535)])
def test_a_port_is_read_from_the_environment(text: str, port: int) -> None:
    assert Config.from_environment({"PORT": text}).port == port


@pytest.mark.parametrize("text", ["65536", "-1", "²", "٣", "8000x", " 8000"])
def test_an_invalid_port_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="PORT must be a number from 0 to 65535"):
        Config.from_environment({"PORT": text})


def test_what_is_empty_is_as_if_it_was_not_there() -> None:
    names = ("PORT", "HOST", "CNAASJOBS_STATE_DIR", "DATABASE_URL", "CELERY_BROKER_URL", "NORNIR_CONFIG")
    assert Config.from_environment(dict.fromkeys(names, "")) == Config.from_environment({})


def test_the_state_directory_is_the_same_in_processes_that_are_elsewhere() -> None:
    assert Config.from_environment({"CNAASJOBS_STATE_DIR": "mine"}).state_dir == Path.cwd() / "mine"


def test_without_an_address_only_this_machine_is_served() -> None:
    config = Config.from_environment({"PORT": "0", "HOST": ""})
    with closing(config.listen()) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_an_address_that_can_not_be_used_is_reported() -> None:
    with pytest.raises(StartError, match="HOST 'no such host' has no address"):
        Config.from_environment({"PORT": "0", "HOST": "no such host"}).listen()
    with pytest.raises(StartError, match=r"Cannot listen on 192\.0\.2\.1 port 0: "):  # of no machine
        Config.from_environment({"PORT": "0", "HOST": "192.0.2.1"}).listen()
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} on 127.0.0.1 is in use: set PORT to another"):
            Config.from_environment({"PORT": str(port)}).listen()


@pytest.mark.parametrize(
    ("address", "loops"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("fe80::1%eth0", False)]
)
def test_only_an_address_of_this_machine_is_loopback(address: str, loops: bool) -> None:
    assert is_loopback(address) == loops


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],
)
def test_the_url_that_is_shown_is_answered(host: str, shown: str) -> None:
    with closing(Config.from_environment({"PORT": "0", "HOST": host}).listen()) as listener:
        port = listener.getsockname()[1]
        assert shown_url(listener) == f"http://{shown}:{port}"
        socket.create_connection((shown.strip("[]"), port), timeout=10).close()


@pytest.mark.needs("netns")  # where a low port is root's, whatever this machine allows
def test_a_port_that_only_root_may_use_is_reported() -> None:
    takes = "import os; from cnaasjobs.run.config import Config; Config.from_environment(os.environ).listen()"
    limited = ["unshare", "--net", "setpriv", "--bounding-set=-net_bind_service", sys.executable, "-c", takes]
    env = {**os.environ, "HOST": "0.0.0.0", "PORT": "1"}
    done = subprocess.run(limited, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stderr.endswith("StartError: Port 1 needs root: set PORT to 1024 or higher\n")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.from_environment({"CNAASJOBS_STATE_DIR": str(tmp_path)})


def test_a_copy_that_others_can_reach_asks_for_tokens(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNAASJOBS_REQUIRE_TOKEN", "0")
    assert child_environment(config, secret_key="k", is_exposed=True)["CNAASJOBS_REQUIRE_TOKEN"] == "1"
    assert child_environment(config, secret_key="k", is_exposed=False)["CNAASJOBS_REQUIRE_TOKEN"] == "0"


def test_its_processes_find_each_other_and_warn_of_what_one_asked_for(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    env = child_environment(config, secret_key="k", is_exposed=False)
    assert env["CNAASJOBS_STATE_DIR"] == str(config.state_dir)
    assert env["DJANGO_SETTINGS_MODULE"] == "cnaasjobs.settings" != os.environ["DJANGO_SETTINGS_MODULE"]
    assert env["PYTHONUNBUFFERED"] == "1"  # what somebody's code prints is in the log at once
    assert env["PYTHONWARNINGS"].split(",") == ["error", ROOT_REMARK][: 2 if os.geteuid() == 0 else 1]


def test_ones_own_keys_database_and_broker_stay(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("SECRET_KEY", "CNAASJOBS_JWT_LOGIN_KEY_FILE", "DATABASE_URL", "CELERY_BROKER_URL")
    for name in names:
        monkeypatch.setenv(name, "")
    kept = child_environment(config, secret_key="kept", is_exposed=False)
    assert [kept.get(name) for name in names] == ["kept", str(config.state_dir / "login-key"), None, None]
    for name in names:
        monkeypatch.setenv(name, "mine")
    own = child_environment(config, secret_key="kept", is_exposed=False)
    assert [own[name] for name in names] == ["mine"] * 4
