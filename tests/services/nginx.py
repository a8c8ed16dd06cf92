"""A private nginx that runs the site of ``deploy/``, its two files, in front of a web server of ours."""

import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.services.base import Service, find_binary, free_port
from tests.services.certificates import Certificate
from tests.services.managed import Managed

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


class Nginx(Service):
    """``addresses``: hosts and ports that stand in ``upstreams``, and where the servers are here.

    Of the site's files only names, ports and paths are changed.
    """

    name = "nginx"
    places: ClassVar = ["/usr/sbin", "/usr/local/sbin"]

    def __init__(
        self,
        directory: Path,
        *,
        addresses: Mapping[str, str],
        certificate: Certificate,
        upstreams: Path = DEPLOY / "upstreams.conf",
    ) -> None:
        super().__init__(directory)
        self.port, self.plain_port = free_port(), free_port()
        self.certificate = certificate
        self._files = (upstreams, DEPLOY / "nginx.conf")
        self._changes = {
            **{f"server {theirs}": f"server {ours}" for theirs, ours in addresses.items()},
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "/etc/cnaasjobs/tls/certificate.pem": str(certificate.certificate),
            "/etc/cnaasjobs/tls/key.pem": str(certificate.key),
        }

    @classmethod
    def is_available(cls) -> bool:
        return find_binary("nginx", cls.places) is not None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def context(self) -> ssl.SSLContext:
        """Of a client that knows the authority."""
        return ssl.create_default_context(cafile=str(self.certificate.authority))

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/healthz", timeout=3, context=self.context()) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            pass
        return False

    def launch(self) -> Managed:
        site = "".join(file.read_text() for file in self._files)
        for text, ours in self._changes.items():
            assert text in site, f"{DEPLOY} has no {text!r}"
            site = site.replace(text, ours)
        own = [
            f"{kind}_temp_path {self.directory / kind};"
            for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        ]
        lines = [
            *(["user root;"] if os.geteuid() == 0 else []),
            "daemon off;",
            "worker_processes 1;",
            f"pid {self.directory / 'pid'};",
            "error_log stderr warn;",
            "events { worker_connections 512; }",
            "http {",
            "access_log off;",
            *own,
            site,
            "}",
        ]
        conf = self.directory / "nginx.conf"
        conf.write_text("\n".join(lines) + "\n")
        binary = find_binary("nginx", self.places)
        assert binary
        return Managed(
            "nginx",
            [binary, "-p", str(self.directory), "-e", "stderr", "-c", str(conf)],
            log=self.directory / "nginx.log",
        )

    def erase(self) -> None:
        """It keeps nothing."""
