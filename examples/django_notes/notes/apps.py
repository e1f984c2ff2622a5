"""The application, as Django loads it."""

import atexit

from django.apps import AppConfig


class NotesConfig(AppConfig):
    """Makes the client when Django starts: before gunicorn forks, and so that a missing setting stops the start."""

    name = "notes"

    def ready(self) -> None:
        from notes.memory import client

        atexit.register(client.close)
