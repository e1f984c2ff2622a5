"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_notes.settings")
application = get_wsgi_application()

from notes.memory import client  # noqa: E402 - Django is set up now

client()  # before gunicorn forks; a missing setting stops the start
