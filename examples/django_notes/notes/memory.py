"""The one client of this process, and each user's own memory in it."""

from __future__ import annotations

import atexit
from functools import cache

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied

from sekha import SekhaClient
from sekha.types import Conversation, SearchResult

MIN_SCORE = 0.1
"""Minimum score of results; a good value depends on the embedding model."""


@cache
def client() -> SekhaClient:
    """Return the client. Threads share it, and it may be created before a fork."""
    made = SekhaClient(deadline=20.0)  # seconds for a whole call, retries included
    atexit.register(made.close)
    return made


def memory_of(user: AbstractBaseUser | AnonymousUser) -> SekhaClient:
    """Return the memory of a user: a view of the client that neither finds nor changes those of others."""
    if not user.is_authenticated:
        raise PermissionDenied
    return client().in_folder("/users", str(user.pk))


def remember(user: AbstractBaseUser | AnonymousUser, text: str) -> Conversation:
    """Store a note of a user."""
    return memory_of(user).controller.create_conversation(messages=[{"role": "user", "content": text}])


def recall(user: AbstractBaseUser | AnonymousUser, words: str) -> list[SearchResult]:
    """Return the notes of a user that match these words, best first."""
    return memory_of(user).controller.query(words, limit=10, min_score=MIN_SCORE, hybrid=True)["results"]
