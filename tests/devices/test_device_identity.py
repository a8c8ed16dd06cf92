"""What docs/devices.md says of host keys and certificates: with these options a stranger is not told the password."""

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import paramiko  # type: ignore[import-untyped]
import pytest
from napalm import get_network_driver

from devices.tasks import sync_devices
from jobs.testing import perform_job
from tests.devices.foreign import Foreign, gone_after
from tests.devices.lab import Lab
from tests.services.certificates import issue

PASSWORD = "device-password"


class Stranger(paramiko.ServerInterface):
    """An SSH server that takes nobody in, and remembers the passwords it was told."""

    def __init__(self) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.told: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(self.key)
            transport.start_server(server=self, event=threading.Event())

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self.told.append(password)
        return paramiko.AUTH_FAILED  # type: ignore[no-any-return]

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    yield server
    server.close()


def refused(platform: str, port: int, **options: Any) -> None:
    """It can't be opened."""
    driver = get_network_driver(platform)
    device = driver("127.0.0.1", "jobs", PASSWORD, timeout=10, optional_args={"port": port, **options})
    with pytest.raises(Exception):  # noqa: B017, PT011  (each driver has errors of its own)
        device.open()


NETMIKO = [("ios", {}), ("eos", {"transport": "ssh"}), ("nxos_ssh", {}), ("iosxr", {})]


@pytest.mark.parametrize(("platform", "options"), NETMIKO)
def test_netmiko_checks_host_keys_when_it_is_told_to(
    platform: str, options: dict[str, Any], stranger: Stranger, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    another = paramiko.ECDSAKey.generate()
    known.write_text(f"[127.0.0.1]:{stranger.port} {another.get_name()} {another.get_base64()}\n")
    strict = {"ssh_strict": True, "alt_host_keys": True, "alt_key_file": str(known)}
    refused(platform, stranger.port, **options, **strict)
    assert stranger.told == []
    known.write_text(f"[127.0.0.1]:{stranger.port} {stranger.key.get_name()} {stranger.key.get_base64()}\n")
    refused(platform, stranger.port, **options, **strict)
    assert PASSWORD in stranger.told


@pytest.mark.parametrize(("platform", "options"), NETMIKO)
def test_without_these_options_a_stranger_is_told_the_password(
    platform: str, options: dict[str, Any], stranger: Stranger
) -> None:
    refused(platform, stranger.port, **options)
    assert PASSWORD in stranger.told


@pytest.mark.parametrize("options", [{}, {"hostkey_verify": True}])
def test_netconf_of_iosxr_takes_any_host_key_whatever_it_is_told(stranger: Stranger, options: dict[str, Any]) -> None:
    refused("iosxr_netconf", stranger.port, **options)
    assert PASSWORD in stranger.told


DRIVER = """
import napalm.junos


class CheckingJunOSDriver(napalm.junos.JunOSDriver):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.device._hostkey_verify = True
"""


def test_junos_needs_a_driver_of_ones_own(stranger: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    refused("junos", stranger.port)
    assert PASSWORD in stranger.told
    stranger.told.clear()
    (tmp_path / "custom_napalm").mkdir()
    (tmp_path / "custom_napalm" / "__init__.py").touch()
    (tmp_path / "custom_napalm" / "checking_junos.py").write_text(DRIVER)
    monkeypatch.syspath_prepend(str(tmp_path))
    refused("checking_junos", stranger.port)
    gone_after(monkeypatch, "custom_napalm.checking_junos")
    assert stranger.told == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("there", "own"), [(True, None), (True, "/etc/ssh/own"), (False, None)])
def test_nornirs_file_of_ssh_options_reaches_the_driver_if_it_is_there_and_the_host_has_no_other(
    lab: Lab, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, there: bool, own: str | None
) -> None:
    installed = foreign.install("napalm_foo")
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(installed.ForeignDriver, "open", lambda self: given.append(self.optional_args))
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo", **({"ssh_config_file": own} if own else {}))
    file = lab.directory / "ssh_config"
    if there:
        file.touch()
    with lab.config.open("a") as config:
        config.write(f"ssh:\n  config_file: {file}\n")
    perform_job(sync_devices, all=True)
    assert [args.get("ssh_config_file") for args in given] == [own or (str(file) if there else None)]


# --- HTTPS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def https_stranger(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """Its port, and the credentials it was told."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.headers.get("Authorization", ""))
            self.send_error(401)

        def log_message(self, *args: Any) -> None:
            pass

    certificate = issue(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.server_port, told
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("platform", "option"), [("eos", "enforce_verification"), ("nxos", "ssl_verify")])
def test_https_checks_certificates_when_it_is_told_to(
    platform: str, option: str, https_stranger: tuple[int, list[str]]
) -> None:
    port, told = https_stranger
    refused(platform, port, **{option: True})
    assert told == []
    refused(platform, port)
    assert told != []
    assert told[0].startswith("Basic ")
