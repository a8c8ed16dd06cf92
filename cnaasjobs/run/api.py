"""The API of the platform that was just started, as one of its clients uses it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` 0: there was none. ``total`` is X-Total-Count."""

    status: int
    body: Any = None
    total: int = 0

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def message(self) -> str:
        """Why it is not ok, in the server's words."""
        if isinstance(self.body, dict) and "message" in self.body:
            return str(self.body["message"])
        return f"the web server answered {self.status}" if self.status else "the web server did not answer"


class Api:
    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self.token = token

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310  (http, from us)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  # nosec B310 # our own
                total = int(response.headers.get("X-Total-Count") or 0)
                return Answer(response.status, json.loads(response.read()), total)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _parsed(error.read()))
        except (OSError, ValueError):
            return Answer(0)

    def curl(self, path: str, *options: str) -> str:
        """The curl command line for the same call."""
        address = f"{self.url}{path}"
        parts = ["curl", f'"{address}"' if "?" in path else address, *options]
        if self.token:
            parts.append(f'-H "Authorization: Bearer {self.token}"')
        return " ".join(parts)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
