"""The WSGI entry point for gunicorn: ``gunicorn cnaasjobs.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
application = get_wsgi_application()
