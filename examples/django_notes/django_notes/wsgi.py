"""The WSGI application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_notes.settings")
application = get_wsgi_application()

from notes.memory import client  # noqa: E402 - after Django is set up

client()  # before gunicorn forks; raises an error if a setting is missing
