# Generated from src/sekha/_async/importing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Imports many conversations: side by side, and so that an import that was broken off can go on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, cast

from sekha import _dialect as dialect
from sekha import _endpoints as endpoints
from sekha._arguments import checked, kind_of
from sekha._concurrency import Lock, for_each, in_thread
from sekha._journal import Entry, Journal, compared
from sekha.errors import SekhaAPIError, SekhaError, SekhaRateLimitError, SekhaValidationError, invalid
from sekha.types import (
    CreateConversationRequest,
    ImportFailure,
    ImportProgress,
    ImportReport,
    UnreadableConversation,
)

from .conversations import Conversations
from .listing import all_conversations

_MOST = 100
"""Conversations at a time."""
_LOOKS = (0.2, 0.5, 1.0)
"""Seconds between looks for a conversation that a server may just be storing."""
_GROWTH = 5.0
"""Seconds in which one of which a part is there must have grown, if it is being stored."""
_RECENT = 300.0
"""Seconds after which a server is not storing any more what was sent to it."""
_RATE_LIMIT_WINDOW = 60.0
_PARTLY = (
    "only a part of it is in the memory, as conversation {id}: the server was interrupted while it stored it. "
    "Delete or archive that one, and import again"
)

Kind = Literal["stored", "already_stored", "empty", "failed"]


class Item(NamedTuple):
    """A conversation of an import.

    Attributes:
        position: Its number, from 1.
        request: What is to be stored; None if it cannot be.
        entry: What the journal knows of it.
        place: Where it stands in an export.
        problem: Why it cannot be stored.
    """

    position: int
    request: dict[str, Any] | None
    entry: Entry | None
    place: str | None
    problem: str


class Found(NamedTuple):
    """What is in the memory of a conversation: its id, the number of its messages, and whether these are all."""

    id: str | None
    size: int
    is_whole: bool


class Importing(Conversations):
    """The part of `MemoryController` that imports."""

    def import_conversations(
        self,
        conversations: Iterable[Mapping[str, object] | UnreadableConversation],
        *,
        concurrency: int = 4,
        journal: str | os.PathLike[str] | None = None,
        on_progress: Callable[[ImportProgress], object] | None = None,
    ) -> ImportReport:
        """Store many conversations; what cannot be stored is reported and left out.

        ``POST /api/v1/conversations`` for each. With a journal an import that was broken off, by Ctrl-C, a lost server
        or the end of the process, is continued by the same call: nothing is stored twice, and nothing is lost. What was
        on its way when it broke off is looked up in the memory (list, get and the MCP tool ``memory_export``, which
        needs the MCP tools' key). Conversations are taken from ``conversations`` as they are stored, so that any number
        of them may come from a generator such as `sekha.exports.read_export`.

        Args:
            conversations: What `create_conversation` takes, or what an export could not give. Those without messages
                are counted and left out.
            concurrency: How many are stored at a time, 1 to 100; ``max_concurrent_writes`` is a limit too.
            journal: File in which is noted what is stored; it is made, or continued. It belongs to one server, and to
                one import at a time. None: nothing is noted.
            on_progress: Called after each conversation with how many were seen, stored, already stored, empty, failed;
                by blocking clients in the threads that store, one at a time.

        Returns:
            The same numbers, and ``failures``: position from 1, place, label and error of each that failed.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, is in use, or is no journal.
            SekhaError: The server refuses the key or cannot be reached; with a journal, call again to go on.
            OSError: The journal cannot be read or written.

        Example:
            ```python
            report = client.controller.import_conversations(
                [{"label": "Greeting", "messages": [{"role": "user", "content": "Hello Sekha!"}]}],
                journal="import.journal",
            )
            print(report["stored"], report["failed"])  # 1 0
            ```
        """
        if isinstance(concurrency, bool) or not isinstance(cast(object, concurrency), int) or concurrency < 1:
            raise invalid("concurrency", "must be a whole number of at least 1")
        if concurrency > _MOST:
            raise invalid("concurrency", f"must be at most {_MOST}")
        given = cast(object, conversations)
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise invalid("conversations", f"must be many conversations, not {kind_of(cast(object, conversations))}")
        if on_progress is not None and not callable(on_progress):
            raise invalid("on_progress", "must be a function")
        path = None if journal is None else os.fspath(journal)
        notes = Journal(path, self._transport.connections.base_url)
        run = Import(self, notes, on_progress)
        in_thread(notes.open)
        try:
            if notes.since is None:
                since = (self._transport.send(endpoints.CONTROLLER_HEALTH.request())).get("timestamp")
                in_thread(partial(notes.start, since))
            for_each(numbered(conversations, notes), run.take, concurrency)
        finally:
            notes.close()
        return run.report


def numbered(conversations: Iterable[Mapping[str, object] | UnreadableConversation], notes: Journal) -> Iterator[Item]:
    """The conversations one after another, with what the journal knows of each."""
    for position, one in enumerate(conversations, start=1):
        if isinstance(one, UnreadableConversation):
            yield Item(position, None, None, one.place, one.problem)
            continue
        try:
            request = complete(one)
        except SekhaValidationError as error:
            yield Item(position, None, None, None, error.message)
            continue
        yield Item(position, request, notes.entry(request), None, "")


def complete(one: object) -> dict[str, Any]:
    """A conversation with all that is stored of it.

    Raises:
        SekhaValidationError: It is none.
    """
    if not isinstance(one, Mapping):
        raise invalid("conversation", f"a dictionary is needed, not {type(one).__name__}")
    request = checked(CreateConversationRequest, cast("Mapping[str, object]", one))
    if "messages" not in request:
        raise invalid("messages", "is missing")
    messages = cast("list[dict[str, Any]]", request["messages"])
    label = request.get("label") or dialect.label_for(messages)
    return {**request, "label": label, "folder": request.get("folder", "/"), "messages": messages}


class Import:
    """One import.

    Args:
        controller: What stores.
        notes: The journal, open.
        on_progress: Who is told how far it is.
    """

    def __init__(
        self,
        controller: Conversations,
        notes: Journal,
        on_progress: Callable[[ImportProgress], object] | None,
    ) -> None:
        self.report: ImportReport = {
            "seen": 0, "stored": 0, "already_stored": 0, "empty": 0, "failed": 0, "failures": []
        }  # fmt: skip
        self._controller = controller
        self._transport = controller._transport
        self._notes = notes
        self._on_progress = on_progress
        self._counting = threading.Lock()
        self._looking = Lock()

    def take(self, item: Item) -> None:
        """Store a conversation if it has to be, and count it."""
        if item.request is None or item.entry is None:
            self._fail(item, item.problem)
        elif not item.request["messages"]:
            self._count("empty")
        elif item.entry.id is not None:
            self._count("already_stored")
        elif self._notes.is_open(item.entry.key):  # one of those that are alike may be there: one after another
            with self._looking:
                self._settle(item, item.request, item.entry)
        else:
            self._store(item, item.request, item.entry.key)

    def _settle(self, item: Item, request: dict[str, Any], entry: Entry) -> None:
        """Store a conversation unless it is there already."""
        if entry.began is not None:
            id, part = self._look(request, entry.began)
            if id is not None:
                in_thread(partial(self._notes.done, entry.key, id))
                self._count("already_stored")
                return
            if part is not None:
                self._fail(item, _PARTLY.format(id=part), may_have_been_applied=True)
                return
        self._store(item, request, entry.key)

    def _store(self, item: Item, request: dict[str, Any], key: str) -> None:
        in_thread(partial(self._notes.begin, key))
        while True:
            try:
                stored = self._controller.create_conversation(request)
            except SekhaRateLimitError as error:
                clock = self._transport.connections.clock
                clock.sleep(error.retry_after or _RATE_LIMIT_WINDOW)
            except SekhaError as error:
                if error.may_have_been_applied:
                    # Whether it is there, the next run looks: the server may be storing it still.
                    self._fail(item, str(error), may_have_been_applied=True)
                    if not isinstance(error, SekhaAPIError):
                        raise
                    return
                in_thread(partial(self._notes.refused, key))
                if not isinstance(error, SekhaValidationError):
                    raise  # the next one would fare no better
                self._fail(item, str(error))
                return
            else:
                in_thread(partial(self._notes.done, key, stored["id"]))
                self._count("stored")
                return

    def _look(self, request: Mapping[str, Any], began: float) -> tuple[str | None, str | None]:
        """The id of a conversation that is in the memory as it was sent, or of one of which a part is."""
        clock, size, patience = self._transport.connections.clock, -1, _GROWTH
        waits = list(_LOOKS)
        while True:
            found = self._found(request)
            if found.is_whole:
                return found.id, None
            if found.size > size:
                size, patience = found.size, _GROWTH
            pause = (_LOOKS[-1] if patience > 0 else None) if found.id else next(iter(waits), None)
            if pause is None or time.time() - began > _RECENT:
                return None, found.id
            patience -= pause
            waits = waits[1:]
            clock.sleep(pause)

    def _found(self, request: Mapping[str, Any]) -> Found:
        """What is most like a conversation, of all that nobody knows."""
        known, since = self._notes.ids, self._notes.since or ""
        rows = all_conversations(
            self._transport,
            lambda row: (
                row["label"] == request["label"]
                and row["folder"] == request["folder"]
                and row["conversation_id"] not in known
                and row["timestamp"] >= since
            ),
        )
        best = Found(None, -1, False)
        for row in rows:
            id = row["conversation_id"]
            created = (self._controller.get_conversation(id, count_messages=False))["created_at"]
            if created is not None and created < since:
                continue
            messages = self._controller.get_messages(id)
            match = compared(request["messages"], messages)
            if match == "same":
                return Found(id, len(messages), True)
            if match == "part" and row["metadata"].get("status") != "archived" and len(messages) > best.size:
                best = Found(id, len(messages), False)
        return best

    def _fail(self, item: Item, problem: str, *, may_have_been_applied: bool = False) -> None:
        failure: ImportFailure = {
            "position": item.position,
            "place": item.place,
            "label": item.request["label"] if item.request else None,
            "error": problem,
            "may_have_been_applied": may_have_been_applied,
        }
        self._count("failed", failure)

    def _count(self, kind: Kind, failure: ImportFailure | None = None) -> None:
        with self._counting:  # threads count as well
            self.report["seen"] += 1
            self.report[kind] += 1
            if failure is not None:
                self.report["failures"].append(failure)
            if self._on_progress is not None:
                told = {name: number for name, number in self.report.items() if name != "failures"}
                self._on_progress(cast(ImportProgress, told))
