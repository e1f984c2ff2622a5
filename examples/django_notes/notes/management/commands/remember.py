"""`manage.py remember "text"`: a note from the terminal."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from notes.memory import remember
from sekha import SekhaError


class Command(BaseCommand):
    """Stores a note; exits with 1 if that failed."""

    help = "Store a note."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            stored = remember(options["text"])
        except SekhaError as error:
            raise CommandError(str(error)) from error  # one line, which also says if it may have been stored
        self.stdout.write(f"stored: {stored['label']}")
