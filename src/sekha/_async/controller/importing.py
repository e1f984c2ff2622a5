"""Imports of many conversations: concurrent, and resumable after an interruption."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Optional, Union, cast

from sekha._api.validation import argument_error, type_name
from sekha._transport.preload import async_load_ahead
from sekha.types import ImportProgress, ImportReport, UnreadableConversation

from .conversations import AsyncConversationMixin

_MAX_CONCURRENCY = 100

async_load_ahead(f"{__package__}.import_run")


class AsyncImportMixin(AsyncConversationMixin):
    """Mixin of `AsyncMemoryController` for imports."""

    async def import_conversations(
        self,
        conversations: Iterable[Union[Mapping[str, object], UnreadableConversation]],
        *,
        concurrency: int = 4,
        journal: Union[str, os.PathLike[str], None] = None,
        drop_images: bool = False,
        on_progress: Optional[Callable[[ImportProgress], object]] = None,
    ) -> ImportReport:
        """Store many conversations; those that cannot be stored are skipped and reported.

        ``POST /api/v1/conversations`` for each. With a journal, the same call resumes an import that was interrupted,
        by Ctrl-C, a lost connection or the end of the process: nothing is stored twice, and nothing is lost. Requests
        that were in flight at the interruption are looked up on the server (list, get and the MCP tool
        ``memory_export``, which requires the key of the MCP tools). Exception: a request of the interrupted run that
        reaches the server more than ten seconds after this run has started may be stored twice. Conversations are read
        from ``conversations`` while others are stored, so a generator such as `sekha.exports.read_export` may return
        any number of them; inside an event loop, a thread reads them.

        A conversation above 1.9 MB (servers accept 2 MiB) is stored in parts of whole messages, named such as ``A long
        year (1 of 3)``; one with a single message above that size fails, and nothing of it is stored.

        Chats from `sekha.exports.read_export` are identified by their IDs. A chat that has changed since an earlier
        import with the same journal is renamed, or replaces its earlier version; if the server cannot delete, the new
        messages of a chat that has only grown are stored as ``Title (continued)``. A partly stored conversation is
        completed.

        Args:
            conversations: Conversations as for `create_conversation`, or unreadable ones from an export. Those without
                messages are counted and skipped.
            concurrency: Maximum number of concurrent requests, 1 to 100; ``max_concurrent_writes`` also applies.
            journal: File that records what is stored; it is created, or resumed. It belongs to one server, and only one
                import can use it at a time. None: no journal. A journal named ``.sekha-journal`` also includes those
                that older versions created beside each file of its folder.
            drop_images: Whether to drop images that are part of a message if the server stores text only, or if the
                conversation is too large; otherwise such a conversation fails.
            on_progress: Called after each conversation with the counts so far: seen, stored, already stored, grown,
                renamed, replaced, empty, failed. Sync clients call it in worker threads, one call at a time. Also
                called when a wait of more than a second starts, with the same counts and ``waiting``: its ``reason``
                and its ``seconds``.

        Returns:
            The report, with the same counts and with ``failures`` (position from 1, place, label and error of each
            failed conversation), ``left_out`` (counts of content that `sekha.exports.read_export` skipped, by kind),
            ``split`` (conversations that were stored in parts; each counts as one), and ``changes`` (place, label and
            action of each conversation that has changed since an earlier import).

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, or the file is not a journal.
            SekhaInUseError: Another import is using the journal.
            SekhaError: The server rejected the key or cannot be reached; with a journal, call again to resume.
                ``report`` of the error has the result so far.
            OSError: The journal cannot be read or written. It has a ``report`` as well, as does `KeyboardInterrupt`.

        Warns:
            SekhaWarning: The server does not store a key of the messages, such as ``timestamp`` (once per key), or it
                cannot delete, so earlier versions are archived.

        Example:
            ```python title="python -m asyncio"
            report = await client.controller.import_conversations(
                [{"label": "Greeting", "messages": [{"role": "user", "content": "Hello Sekha!"}]}],
                journal="import.journal",
            )
            print(report["stored"], report["failed"])  # 1 0
            ```
        """
        check_import_options(concurrency, on_progress)
        given = cast(object, conversations)
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise argument_error(
                "conversations", f"must be an iterable of conversations, not {type_name(cast(object, conversations))}"
            )
        from .import_run import async_import_all  # imported in advance if there is an event loop

        return await async_import_all(
            self._transport,
            self._capabilities,
            self._view,
            conversations,
            concurrency=concurrency,
            journal=None if journal is None else os.fspath(journal),
            drop_images=drop_images,
            on_progress=on_progress,
        )


def check_import_options(concurrency: int, on_progress: object) -> None:
    """Raise a `SekhaValidationError` for invalid options of imports and syncs."""
    if isinstance(concurrency, bool) or not isinstance(cast(object, concurrency), int) or concurrency < 1:
        raise argument_error("concurrency", "must be a whole number of at least 1")
    if concurrency > _MAX_CONCURRENCY:
        raise argument_error("concurrency", f"must be at most {_MAX_CONCURRENCY}")
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise argument_error("on_progress", "must be a plain function")
