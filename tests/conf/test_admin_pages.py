"""The modules of the admin's pages are loaded only by processes that show or check them."""

import os

from tests.services.program import run_program

SETUP = "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'cnaasjobs.settings'; django.setup()\n"
LOADED = "print('jobs.admin' in sys.modules)\n"


def told(program: str) -> list[str]:
    env = {"PATH": os.environ["PATH"], "CNAASJOBS_DEV": "1", "DATABASE_URL": "sqlite://:memory:"}
    done = run_program("-c", SETUP + program, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_they_come_with_the_urls_and_before_the_check_looks_at_them() -> None:
    pages = "from django.contrib import admin; print(len(admin.site._registry) > 10)\n"
    look = "from django.core.checks import run_checks; print(run_checks(tags=['admin']))\n"
    assert told(LOADED + "import cnaasjobs.urls\n" + LOADED) == ["False", "True"]
    assert told(look + LOADED + pages) == ["[]", "True", "True"]
