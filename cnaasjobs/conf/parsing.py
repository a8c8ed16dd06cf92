"""What the text of a variable must be, and how it is parsed. ValueError's text follows the name of the variable."""

import ipaddress
import json
import re
import ssl
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?|\[[0-9a-fA-F:.]+\]")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/:\[\]]+|\[[^\]]+\])(:(?P<port>[0-9]{1,5}))?")
_PORTS = {"http": 80, "https": 443}
_TASK = re.compile(r"[\w-]+(\.[\w-]+)*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_REDIS_DATABASE = re.compile(r"/?[0-9]*/?")
_BROKERS = {
    "amqp": "amqp",
    "amqps": "amqp",
    "pyamqp": "amqp",
    "redis": "redis",
    "rediss": "redis",
    "redis+socket": "redis",
    "memory": "memory",  # of one process: for its tests
}
ALGORITHMS = ("ES256", "RS256")
_POSTGRESQL = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def app(text: str) -> str:
    """A package, or the AppConfig in it. Nothing but the name is looked at: importing it must wait for Django."""
    first, *rest = text.split(".")
    spec = find_spec(first) if all(part.isidentifier() for part in (first, *rest)) else None
    for part in rest:
        where = spec.submodule_search_locations if spec else None
        if where is None and part is rest[-1]:
            break  # a class in that module
        spec = PathFinder.find_spec(f"{spec.name}.{part}", where) if spec and where else None
    if spec is None:
        raise ValueError(f"must name Django apps that can be imported, and {text!r} can't")
    return text


def host(text: str) -> str:
    """A host name as Django's ALLOWED_HOSTS takes it: with a leading dot it means the subdomains too."""
    if text != "*" and not _HOST.fullmatch(text.removeprefix(".")):
        raise ValueError(f"must be host names without scheme, port and path, not {text!r}")
    return text


def network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/24, not {text!r}") from None
    return text


def origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without a trailing slash, and without its scheme's default port."""
    match = _ORIGIN.fullmatch(text.rstrip("/").lower())
    port = int(match["port"] or _PORTS[match["scheme"]]) if match else 0
    if match is None or not _HOST.fullmatch(match["host"]) or not 0 < port < 65_536:
        raise ValueError(f"must be origins such as https://ui.example.org, not {text!r}")
    beside = "" if port == _PORTS[match["scheme"]] else f":{port}"
    return f"{match['scheme']}://{match['host']}{beside}"


def origin_or_subdomains(text: str) -> str:
    """Django's CSRF check also takes all names below one: https://*.example.org."""
    return origin(text.replace("://*.", "://", 1)).replace("://", "://*." if "://*." in text else "://", 1)


def header(text: str) -> str:
    """A header as HTTP spells it (X-Forwarded-Proto) or as Django does (HTTP_X_FORWARDED_PROTO). Returns the latter."""
    if not _HEADER.fullmatch(text):
        raise ValueError(f"must be a header such as X-Forwarded-Proto, not {text!r}")
    return "HTTP_" + text.upper().replace("-", "_").removeprefix("HTTP_")


def plain_task(text: str) -> str:
    """The name of a task. Not one of Celery's own, which call whatever a message asks for."""
    if not _TASK.fullmatch(text) or text.startswith("celery."):
        raise ValueError(f"must be names of tasks of your own, such as site.tasks.report, not {text!r}")
    return text


def patterns(text: str) -> dict[str, re.Pattern[str]]:
    """A regular expression for each name, from JSON."""
    try:
        found = json.loads(text)
        if "" in found.values():  # an empty one matches, and so would drop, every line
            raise TypeError
        return {name: re.compile(pattern) for name, pattern in found.items()}
    except (ValueError, AttributeError, TypeError, re.error):
        raise ValueError(f'must be JSON such as {{"ios": "^ntp clock-period "}}, not {text!r}') from None


def url(text: str) -> str:
    """A URL of another server. It must not contain a password, because it is shown."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    named = _HOST.fullmatch(f"[{host}]" if ":" in host else host)
    if (
        not named
        or parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError("must be a URL such as https://login.example.org/keys, without a password")
    return text


def algorithm(text: str) -> str:
    """Only signatures for which the issuer alone has the key. With HMAC, whoever can check a token could make one."""
    if text not in ALGORITHMS:
        raise ValueError(f"must be one or more of {', '.join(ALGORITHMS)}, not {text!r}")
    return text


def group_map(text: str) -> dict[str, str]:
    """Parse JSON such as ``{"netops": "operator"}``: a group of the provider, and the group of ours it stands for."""
    try:
        found = json.loads(text)
        if not all(isinstance(part, str) and part for pair in found.items() for part in pair):
            raise TypeError
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f'must be JSON such as {{"netops": "operator"}}, not {text!r}') from None
    return dict(found)


def database(text: str) -> dict[str, Any]:
    """Django's settings of a database. The text may hold a password, so no refusal quotes it."""
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": _sqlite_name(rest)}
    if scheme in ("postgres", "postgresql"):
        return _postgresql(text)
    raise ValueError("must begin with postgres:// (or sqlite:// for a trial)")


def _sqlite_name(rest: str) -> str:
    name = rest.removeprefix("/")
    if not name:
        raise ValueError("must name a file: sqlite:////absolute/path, or sqlite://:memory:")
    return name if name == ":memory:" else str(Path(name).resolve())


def _postgresql(text: str) -> dict[str, Any]:
    import psycopg2
    from psycopg2.extensions import parse_dsn

    try:
        parts = parse_dsn(text)  # libpq's own reading: %2Fvar%2Frun for a socket, several hosts, options
    except psycopg2.ProgrammingError:
        parts = {}
    if not re.fullmatch(r"[\d,]*", parts.get("port", "")) or not parts:
        raise ValueError(
            "must be postgres://user:password@host/name, with %25 for %, %2F for /, %3A for : and %40 for @ in user and"
            " password"
        )
    if not parts.get("dbname"):
        raise ValueError("must end with the database's name: postgres://user:password@host/name")
    django = {key: parts.pop(ours) for ours, key in _POSTGRESQL.items() if ours in parts}
    return {"ENGINE": "django.db.backends.postgresql", **django, "OPTIONS": parts}


def brokers(text: str) -> str:
    """Celery's list: the first that answers is used. The text may hold passwords, so no refusal quotes it."""
    urls = [url.strip() for url in text.split(";") if url.strip()]
    kinds = {_broker_kind(url) for url in urls}
    if len(kinds) != 1:
        raise ValueError("must name brokers of one kind, all amqp:// or all redis://")
    if len({url.startswith("rediss://") for url in urls}) != 1:  # kombu uses the first one's for all
        raise ValueError("must name Redis servers that are all reached with TLS, rediss://, or all without")
    return ";".join(urls)


def broker_tls(urls: str) -> dict[str, Any] | bool:
    """Celery's ``broker_use_ssl``. A server shows a certificate of a known authority (SSL_CERT_FILE names a private
    one).

    It must be issued to the name in the URL, except where there are several: kombu compares the second's certificate
    with the first name.
    """
    first, *others = urls.split(";")
    scheme = first.partition("://")[0]
    if scheme == "rediss":
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if scheme == "amqps":
        return {} if others else {"server_hostname": None}
    return False


def _broker_kind(url: str) -> str:
    kind = _BROKERS.get(url.partition("://")[0])
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        kind = None
    else:
        if host and not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
            kind = None
        elif parts.scheme in ("redis", "rediss") and not _REDIS_DATABASE.fullmatch(parts.path):
            raise ValueError("must be redis://host/0: the databases of a Redis are numbers")
    if kind is None:
        raise ValueError("must be amqp://user:password@host// or redis://host/0; several are separated by semicolons")
    return kind
