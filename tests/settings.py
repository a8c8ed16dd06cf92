"""Settings of the test suite: development's, on a state directory and a broker of its own.

``DATABASE_URL`` and ``CELERY_BROKER_URL`` are used when they are set (then with a test database beside the named one);
our other variables are ignored if the developer happens to have set them.
"""

import atexit
import os
import shutil
from pathlib import Path

from tests import own_broker
from tests.services.base import scratch_directory

STARTED_BY_TESTS = "CNAASJOBS_STARTED_BY_TESTS"  # set for the processes that tests start: they get all they need
# Those of our own that are not jobs, also for the processes that tests start.
PLAIN_TASKS = ",".join(
    [
        "tests.fake_jobs.plain",
        "tests.fake_jobs.canaries.plain_canaries",
        *(f"tests.fake_jobs.lasting.plain_{name}" for name in ("wait", "touch", "nothing", "open")),
    ]
)
FAKE_JOBS = ",".join(
    ["tests.fake_jobs", *(f"tests.fake_jobs.{name}" for name in ("ends", "fleets", "lasting", "ledgered", "canaries"))]
)
KEPT = {
    "CNAASJOBS_REQUIRE_ALL_TESTS",
    "CNAASJOBS_TEST_FULL_LENGTH",
    "CNAASJOBS_TEST_WITHOUT_DEVICES",
    own_broker.BROKERS,
}


def _remove(directory: Path, *, of: int) -> None:
    """Its copies end too: ``tests.copies``."""
    if os.getpid() == of:
        shutil.rmtree(directory, ignore_errors=True)


if STARTED_BY_TESTS not in os.environ:
    for name in [name for name in os.environ if name.startswith("CNAASJOBS_") and name not in KEPT]:
        del os.environ[name]
    for name in ("NORNIR_CONFIG", "SECRET_KEY", "ALLOWED_HOSTS"):
        os.environ.pop(name, None)
    os.environ["CNAASJOBS_DEV"] = "1"
    os.environ["CNAASJOBS_PLAIN_TASKS"] = PLAIN_TASKS
    directory = scratch_directory("state", in_memory=True)
    atexit.register(_remove, directory, of=os.getpid())
    os.environ["CNAASJOBS_STATE_DIR"] = str(directory)
    if address := own_broker.address():
        os.environ["CELERY_BROKER_URL"] = address

from celery.signals import worker_init  # noqa: E402

from cnaasjobs.db import prepared  # noqa: E402
from cnaasjobs.embedded import broker_url  # noqa: E402
from cnaasjobs.settings import *  # noqa: E402, F403
from cnaasjobs.settings import CELERY_BROKER_URL, CNAASJOBS_STATE_DIR, DATABASES, INSTALLED_APPS  # noqa: E402

EMBEDDED_BROKER = broker_url(CNAASJOBS_STATE_DIR) == CELERY_BROKER_URL
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: the real processes that tests start share it.
    DATABASES["default"]["TEST"] = {"NAME": str(CNAASJOBS_STATE_DIR / "test.sqlite3")}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
CELERY_IMPORTS = [name for name in os.environ.get("CNAASJOBS_TEST_JOBS", FAKE_JOBS).split(",") if name]

if STARTED_BY_TESTS not in os.environ:
    # Each of thousands of clients of this process would look for all static files when it begins.
    WHITENOISE_AUTOREFRESH = True
else:
    # Hundreds of workers, few of which see a device: NAPALM, a third of what a start costs, is imported by the job that
    # needs it and not by the worker that begins.
    worker_init.connect(lambda **_: None, weak=False, dispatch_uid="devices.before_fork")

prepared.MANY = 0  # the tests have few rows and run what production does, prepared statements included

if os.environ.get("CNAASJOBS_TEST_WITHOUT_DEVICES") == "1":  # the platform stands without its first consumer
    INSTALLED_APPS.remove("devices")
