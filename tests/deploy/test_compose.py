"""The compose file: its commands, variables, addresses and paths are those of the code and of nginx.conf."""

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cnaasjobs.conf import Conf, Start, from_environment
from tests.deploy.commands import options_of
from tests.deploy.files import DEPLOY, ROOT, compose, nginx_says, unit, upstreams
from tests.house.named import PACKAGES

GIVEN = {
    "SECRET_KEY": "0123456789abcdefghij" * 3,
    "POSTGRES_PASSWORD": "of-postgresql",
    "RABBITMQ_PASSWORD": "of-rabbitmq",
    "HOST_NAME": "jobs.example.org",
}
SITE = compose(GIVEN)
SERVICES: dict[str, Any] = SITE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "cnaasjobs"}


def command_of(service: Any) -> list[str]:
    return shlex.split(service["command"])


def address_of(service: Any) -> str:
    return str(service["networks"]["default"]["ipv4_address"])


def test_every_part_is_there_and_what_may_be_many_is() -> None:
    assert {"postgresql", "rabbitmq", "nginx", "migrate", "web-1", "web-2", "events-1", "events-2"} < SERVICES.keys()
    assert SERVICES["beat"]["deploy"]["replicas"] == 2
    many = compose(GIVEN | {"WORKERS": "7"})["services"]["worker"]["deploy"]["replicas"]
    assert (SERVICES["worker"]["deploy"]["replicas"], many) == ("2", "7")


@pytest.mark.parametrize("name", OURS)
def test_its_command_is_one_of_ours(name: str) -> None:
    options_of(command_of(OURS[name]))  # raises otherwise


@pytest.mark.parametrize("name", OURS)
def test_its_variables_are_those_of_the_settings(name: str) -> None:
    environment = OURS[name]["environment"]
    assert environment.keys() <= {variable.name for table in (Start, Conf) for variable in table.variables()}
    start, values = from_environment(environment)
    assert start.quorum_queues
    assert start.allowed_hosts == ["jobs.example.org"]
    assert [*map(str, values["CNAASJOBS_TRUSTED_PROXIES"])] == [address_of(SERVICES["nginx"])]
    said = f"{environment['CNAASJOBS_PROXY_SSL_HEADER']} $scheme"
    assert nginx_says("proxy_set_header").count(said) == len(nginx_says("proxy_pass"))


@pytest.mark.parametrize("needed", GIVEN)
def test_nothing_starts_with_a_secret_that_was_left_out(needed: str) -> None:
    with pytest.raises(KeyError, match=needed):
        compose({name: value for name, value in GIVEN.items() if name != needed})


def test_it_logs_in_where_it_was_given_an_account() -> None:
    environment = OURS["worker"]["environment"]
    database, broker = (urlsplit(environment[name]) for name in ("DATABASE_URL", "CELERY_BROKER_URL"))
    made = SERVICES[str(database.hostname)]["environment"]
    assert (database.username, database.password) == (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"])
    assert database.path == f"/{made['POSTGRES_DB']}"
    made = SERVICES[str(broker.hostname)]["environment"]
    assert (broker.username, broker.password) == (made["RABBITMQ_DEFAULT_USER"], made["RABBITMQ_DEFAULT_PASS"])


def test_nginx_finds_them_at_their_addresses() -> None:
    found = upstreams(DEPLOY / "compose" / "upstreams.conf")
    assert found == {
        f"cnaasjobs_{kind}": [
            f"{address_of(service)}:{_port(service)}{' backup' * (kind == 'events' and name.endswith('2'))}"
            for name, service in SERVICES.items()
            if name.startswith(f"{kind}-")
        ]
        for kind in ("web", "events")
    }
    assert found.keys() == upstreams(DEPLOY / "upstreams.conf").keys()


def _port(service: Any) -> str:
    """Of a process that listens on all its addresses."""
    bind = options_of(command_of(service))["bind"]
    host, _, port = (bind if isinstance(bind, str) else bind[0]).rpartition(":")
    assert host == "0.0.0.0"
    return str(port)


def test_what_is_asked_whether_it_lives_listens_there() -> None:
    for name in ("web-1", "web-2"):
        asked = re.search(r"127\.0\.0\.1:(\d+)/healthz", SERVICES[name]["healthcheck"]["test"][-1])
        assert asked is not None
        assert asked[1] == _port(SERVICES[name])


def test_the_database_is_asked_by_the_way_that_the_others_take() -> None:
    """While the image sets it up, pg_isready is answered on the Unix socket, and a migration that begins then fails."""
    assert {"pg_isready", "--host"} <= {*SERVICES["postgresql"]["healthcheck"]["test"]}


def test_nginx_listens_where_ports_lead_and_has_its_files() -> None:
    inside = {port.split(":")[1] for port in SERVICES["nginx"]["ports"]}
    assert inside == {value.split()[0] for value in nginx_says("listen")}
    mounted = [volume.split(":") for volume in SERVICES["nginx"]["volumes"]]
    for source, _, _ in mounted:
        assert source.startswith("/etc/") or (DEPLOY / "compose" / source).is_file()
    places = [target for _, target, _ in mounted]
    for file in (*nginx_says("ssl_certificate"), *nginx_says("ssl_certificate_key")):
        assert str(Path(file).parent) in places


def test_each_waits_for_what_is_there() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in volumes if re.fullmatch(r"\w+", name)} == SITE["volumes"].keys()


@pytest.mark.parametrize(("name", "of"), [("web-1", "web"), ("worker", "worker@"), ("beat", "beat@")])
def test_it_has_as_much_time_to_end_as_under_systemd(name: str, of: str) -> None:
    assert [SERVICES[name]["stop_grace_period"].removesuffix("s")] == unit(f"cnaasjobs-{of}.service")["TimeoutStopSec"]


def test_the_image_has_all_that_runs() -> None:
    build = OURS["worker"]["build"]
    assert (DEPLOY / "compose" / build["context"]).resolve() == ROOT
    copied = [source for line in image() if line.startswith("COPY ") for source in line.split()[1:-1]]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {*PACKAGES, "manage.py", "gunicorn.conf.py", "requirements.txt", "constraints.txt"} == {*copied}
    refused, *excepted = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] in "*!"][:-1]
    assert (refused, {line.removeprefix("!") for line in excepted}) == ("*", {*copied})


def test_the_image_runs_as_a_numbered_user_who_can_read_it_whatever_the_umask_was() -> None:
    user = next(line.split()[1] for line in image() if line.startswith("USER "))
    assert user.isdigit()
    assert f"--uid {user} " in next(line for line in image() if "useradd" in line)
    assert f"readable by user {user}" in (DEPLOY / "compose" / "compose.yaml").read_text()
    last = next(line for line in reversed(image()) if line.startswith("RUN "))
    assert last.endswith("chmod -R a+rX .")


def test_its_secrets_are_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    beside = [".env", *(each["path"] for each in OURS["worker"]["env_file"])]
    assert {f"deploy/compose/{name}" for name in beside} <= {*ignored}


def image() -> list[str]:
    return (ROOT / str(OURS["worker"]["build"]["dockerfile"])).read_text().splitlines()
