"""The one client of this process, and what is done with it."""

from __future__ import annotations

from sekha import SekhaClient
from sekha.types import Conversation, SearchResult

# Threads share it; it may be made before a fork, since each process gets connections of its own with its first call.
client = SekhaClient(
    deadline=20.0,  # seconds for the whole of a call: nobody waits longer for a page
    max_concurrent_writes=2,  # in each of two workers: the controller 0.1 stands no more than four or so
)


def remember(text: str) -> Conversation:
    """Store a note."""
    return client.controller.create_conversation(folder="/notes", messages=[{"role": "user", "content": text}])


def recall(words: str) -> list[SearchResult]:
    """What is remembered about these words, best first."""
    return client.controller.query(words, limit=10)["results"]
