"""Scripts and style sheets, served from the packages themselves."""

from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise looks at each file once, at the start. An upgrade replaces files under a server that still runs: a new
    one would be sent with the length of the old one, so cut off, and browsers would keep that. Here each request looks.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._seen: dict[str, tuple[str, tuple[int, int]]] = {}  # by URL: where the file is, and what it was
        super().__init__(*args, **kwargs)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        url = request.path_info
        if url in self._seen:
            path, before = self._seen[url]
            try:
                if _state(path) != before:
                    self.files[url] = self.get_static_file(path, url)
            except FileNotFoundError:
                return self.get_response(request)  # type: ignore[no-any-return]  # which has no such page
        return super().__call__(request)  # type: ignore[no-any-return]

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> Any:
        self._seen[url] = path, _state(path)
        return super().get_static_file(path, url, stat_cache)


def _state(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_size
