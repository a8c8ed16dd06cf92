"""The WSGI entry point for gunicorn: ``gunicorn cnaasjobs.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

from cnaasjobs.database import bound_waits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
application = get_wsgi_application()
bound_waits()
