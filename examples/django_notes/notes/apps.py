"""The application, as Django loads it."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    """The notes."""

    name = "notes"
