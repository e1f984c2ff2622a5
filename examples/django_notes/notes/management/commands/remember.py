"""`manage.py remember USER "text"`: a note from the terminal."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, CommandParser

from notes.memory import remember
from sekha import SekhaError


class Command(BaseCommand):
    """Stores a note of a user; exits with 1 if that failed."""

    help = "Store a note of a user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("text")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"there is no user {options['user']}")
        try:
            stored = remember(user, options["text"])
        except SekhaError as error:
            raise CommandError(str(error)) from error  # one line, including whether it may have been stored
        self.stdout.write(f"stored: {stored['label']}")
