"""Playwright in a thread of its own.

Its blocking calls run an event loop that counts as running between them too. In the test's own thread Django would then
refuse every query, hold another database connection than the fixtures have prepared, and ``asyncio.run`` would fail. So
all of Playwright's objects live in one other thread; the test has stand-ins that do there what is asked of them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import MethodType
from typing import Any, Final, TypeVar, cast

from playwright.sync_api import Expect
from playwright.sync_api import expect as _expect

T = TypeVar("T")

_thread: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="playwright")


class _There:
    """Something of Playwright's: each use of it happens in the thread."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return there(getattr, self._target, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return there(self._target, *args, **options)

    def __enter__(self) -> Any:
        return there(self._target.__enter__)

    def __exit__(self, *exception: Any) -> Any:
        return there(self._target.__exit__, *exception)


def there(function: Callable[..., T], /, *args: Any, **options: Any) -> T:
    """Calls it in the thread; what it returns of Playwright's stays there."""
    plain = [_plain(arg) for arg in args]
    named = {name: _plain(option) for name, option in options.items()}
    return cast(T, _standing_in(_thread.submit(function, *plain, **named).result()))


def _plain(value: Any) -> Any:
    return value._target if isinstance(value, _There) else value


def _standing_in(value: Any) -> Any:
    if isinstance(value, list):
        return [_standing_in(each) for each in value]
    owner = value.__self__ if isinstance(value, MethodType) else value
    return _There(value) if type(owner).__module__.startswith("playwright.") else value


_expect.set_options(timeout=20_000)  # a machine may be slow
expect: Final = cast(Expect, _There(_expect))
