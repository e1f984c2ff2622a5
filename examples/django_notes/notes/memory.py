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
"""What is less similar to the words than this is not shown. A good floor depends on the embedding model."""


@cache
def client() -> SekhaClient:
    """The client. Threads share it, and it may be made before a fork; commands that do not need it need no key."""
    made = SekhaClient(deadline=20.0)  # seconds for the whole of a call: nobody waits longer for a page
    atexit.register(made.close)
    return made


def memory_of(user: AbstractBaseUser | AnonymousUser) -> SekhaClient:
    """The memory of one user: a view of the client that neither finds nor changes anything of the others."""
    if not user.is_authenticated:
        raise PermissionDenied
    return client().in_folder("/users", str(user.pk))


def remember(user: AbstractBaseUser | AnonymousUser, text: str) -> Conversation:
    """Store a note of a user."""
    return memory_of(user).controller.create_conversation(messages=[{"role": "user", "content": text}])


def recall(user: AbstractBaseUser | AnonymousUser, words: str) -> list[SearchResult]:
    """What a user has noted about these words, best first."""
    return memory_of(user).controller.query(words, limit=10, min_score=MIN_SCORE, hybrid=True)["results"]
