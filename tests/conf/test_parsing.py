"""What the text of a variable must be: accepted as people write it, and refused without quoting a secret."""

from pathlib import Path

import pytest

from cnaasjobs.conf import from_environment
from cnaasjobs.conf.parsing import (
    app,
    brokers,
    database,
    header,
    host,
    network,
    origin,
    origin_or_subdomains,
    patterns,
    plain_task,
)
from cnaasjobs.conf.variables import Texts

HOSTS = Texts("", item=host)
ORIGINS = Texts("", item=origin)


def test_blanks_around_the_items_of_a_list_are_no_part_of_them() -> None:
    assert HOSTS.read("a.example.org, b.example.org ,,10.0.0.9,") == ["a.example.org", "b.example.org", "10.0.0.9"]
    environ = {"CNAASJOBS_DEV": "1", "ALLOWED_HOSTS": "a , b", "CNAASJOBS_TRUSTED_PROXIES": "10.0.0.5 , 10.0.0.6"}
    start, values = from_environment(environ)
    assert start.allowed_hosts == ["a", "b"]
    assert values["CNAASJOBS_TRUSTED_PROXIES"] == ["10.0.0.5", "10.0.0.6"]


@pytest.mark.parametrize("text", ["jobs.example.org", ".example.org", "*", "localhost", "10.0.0.9", "[::1]", "a_b.c"])
def test_a_host_name_is_accepted(text: str) -> None:
    assert host(text) == text


@pytest.mark.parametrize("text", ["https://jobs.example.org", "jobs.example.org:443", "a/b", "a b", "*.example.org"])
def test_an_invalid_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be host names without scheme, port and path"):
        host(text)


@pytest.mark.parametrize("text", ["10.0.0.5", "10.0.0.0/24", "2001:db8::/32", "::1"])
def test_an_address_or_a_network_is_accepted(text: str) -> None:
    assert network(text) == text


@pytest.mark.parametrize("text", ["nginx", "10.0.0.5/24", "10.0.0", "http://10.0.0.5", "10.0.0.5:80"])
def test_an_invalid_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be addresses or networks"):
        network(text)


@pytest.mark.parametrize(
    "text",
    ["https://jobs.example.org", "http://10.0.0.9:8080", "https://[::1]:8443", "http://ui", "https://ui:80"],
)
def test_an_origin_may_end_with_a_slash(text: str) -> None:
    assert origin(text) == origin(text + "/") == text


@pytest.mark.parametrize(
    "text", ["HTTPS://UI.Example.org", "https://ui.example.org:443", "https://ui.example.org:0443"]
)
def test_an_origin_is_read_as_browsers_send_it(text: str) -> None:
    assert origin(text) == "https://ui.example.org"


@pytest.mark.parametrize(
    "text",
    [
        *("jobs.example.org", "https://a/b", "ftp://a", "https://", "https://a:b", "null", "*", "https://*.a"),
        *("https://a:0", "https://a:65536", "https://a:99999999999999999999"),
    ],
)
def test_an_invalid_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be origins such as"):
        origin(text)


def test_only_an_origin_of_the_admin_may_stand_for_all_names_below_one() -> None:
    assert origin_or_subdomains("https://*.Example.org/") == "https://*.example.org"
    assert origin_or_subdomains("https://example.org") == "https://example.org"
    with pytest.raises(ValueError, match="must be origins such as"):
        origin_or_subdomains("https://a.*.example.org")


@pytest.mark.parametrize("text", ["json", "tests.fake_jobs", "jobs.apps.JobsConfig", "cnaasjobs.identity"])
def test_an_app_that_can_be_imported_is_accepted(text: str) -> None:
    assert app(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "nowhere",
        "json.nowhere",
        "jobs.nowhere.JobsConfig",
        "jobs.apps.A.B",
        "a-b",
        "jobs.",
        ".jobs",
        "jobs.apps.csv.Config",
    ],
)
def test_an_invalid_app_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must name Django apps that can be imported"):
        app(text)


@pytest.mark.parametrize("text", ['{"ios": ""}', '{"ios": "("}', '{"ios": 5}', '["ios"]', "ios=x"])
def test_what_would_leave_out_no_lines_or_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be JSON such as"):
        patterns(text)


@pytest.mark.parametrize("text", ["X-Forwarded-Proto", "x-forwarded-proto", "HTTP_X_FORWARDED_PROTO"])
def test_a_header_is_accepted_as_http_or_as_django_spells_it(text: str) -> None:
    assert header(text) == "HTTP_X_FORWARDED_PROTO"


@pytest.mark.parametrize("text", ["report", "site.tasks.report", "my-site.tasks.report"])
def test_the_name_of_a_task_is_accepted(text: str) -> None:
    assert plain_task(text) == text


@pytest.mark.parametrize("text", ["celery.chain", "celery.", "site.tasks.", "site tasks", "!!"])
def test_a_task_that_is_not_ones_own_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be names of tasks of your own"):
        plain_task(text)


@pytest.mark.parametrize("text", ["X-Forwarded-Proto: https", "X Forwarded", "", "-x"])
def test_an_invalid_header_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a header such as X-Forwarded-Proto"):
        header(text)


POSTGRESQL = "django.db.backends.postgresql"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "postgres://ann:p%40%2F%25@db:5433/jobs",
            {"NAME": "jobs", "USER": "ann", "PASSWORD": "p@/%", "HOST": "db", "PORT": "5433", "OPTIONS": {}},
        ),
        ("postgresql://db/jobs", {"NAME": "jobs", "HOST": "db", "OPTIONS": {}}),
        ("postgres://%2Fvar%2Frun%2Fpostgresql/jobs", {"NAME": "jobs", "HOST": "/var/run/postgresql", "OPTIONS": {}}),
        ("postgres:///jobs?host=/var/run/x", {"NAME": "jobs", "HOST": "/var/run/x", "OPTIONS": {}}),
        ("postgres://u@[::1]/jobs", {"NAME": "jobs", "USER": "u", "HOST": "::1", "OPTIONS": {}}),
        (
            "postgres://u@a,b/jobs?sslmode=require&target_session_attrs=read-write",
            {
                "NAME": "jobs",
                "USER": "u",
                "HOST": "a,b",
                "PORT": ",",
                "OPTIONS": {"sslmode": "require", "target_session_attrs": "read-write"},
            },
        ),
    ],
)
def test_a_database_is_read_as_libpq_reads_it(text: str, parts: dict[str, object]) -> None:
    assert database(text) == {"ENGINE": POSTGRESQL, **parts}


def test_a_path_of_sqlite_is_absolute_or_relative_to_the_current_directory() -> None:
    assert database("sqlite:////tmp/db")["NAME"] == "/tmp/db"
    assert database("sqlite:///trial.sqlite3")["NAME"] == str(Path("trial.sqlite3").resolve())
    assert database("sqlite://:memory:")["NAME"] == ":memory:"


@pytest.mark.parametrize(
    "text",
    [
        "postgres//ann:hunter2@db/jobs",
        "postgres://ann:hunter2%zz@db/jobs",
        "postgres://ann:hunter2/x@db/jobs",  # a slash that is not quoted: libpq takes the password for a port
        "postgres://ann:hunter2@db",
        "postgres://ann:hunter2@db/jobs?hunter2=1",
        "mysql://ann:hunter2@db/jobs",
        "hunter2",
        "host=db dbname=jobs password=hunter2",
        "sqlite://",
        "sqlite",
        "postgres",
    ],
)
def test_no_refusal_of_a_database_quotes_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as caught:
        database(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_has_to_be_quoted_in_a_password_is_reported() -> None:
    with pytest.raises(ValueError, match="%25 for %, %2F for /"):
        database("postgres://ann:100%@db/jobs")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("amqp://u:p@mq//", "amqp://u:p@mq//"),
        ("amqp://u:p@a// ; amqps://u:p@b//;", "amqp://u:p@a//;amqps://u:p@b//"),
        ("redis+socket:///run/broker.sock", "redis+socket:///run/broker.sock"),
        ("rediss://:p@mq:6380/0", "rediss://:p@mq:6380/0"),
        ("redis://[::1]:6379", "redis://[::1]:6379"),
        ("amqp://", "amqp://"),
    ],
)
def test_a_url_of_a_broker_is_accepted(text: str, meant: str) -> None:
    assert brokers(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "mq.example.org",
            "http://u:hunter2@mq",
            "amqp://u:hunter2/x@mq//",
            "amqp://a;redis://u:hunter2@b",
            ";",
            "sqs://",
        ),
        *("amqp://u:hunter2@a,b//", "redis://:hunter2@my host/0"),
        *("redis://:hunter2@a,redis://b", "redis://:hunter2@mq/jobs", "rediss://:hunter2@a;redis://:hunter2@b"),
    ],
)
def test_no_refusal_of_a_broker_quotes_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as caught:
        brokers(text)
    assert "hunter2" not in str(caught.value)
