# Generated from src/sekha/_async/controller/importing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Importing many conversations: several at a time, and so that an interrupted import can be resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Optional, Union, cast

from sekha._api.validation import argument_error, type_name
from sekha._transport.preload import load_ahead
from sekha.types import ImportProgress, ImportReport, UnreadableConversation

from .conversations import ConversationMixin

_MAX_CONCURRENCY = 100

load_ahead(f"{__package__}.import_run")


class ImportMixin(ConversationMixin):
    """The part of `MemoryController` that imports."""

    def import_conversations(
        self,
        conversations: Iterable[Union[Mapping[str, object], UnreadableConversation]],
        *,
        concurrency: int = 4,
        journal: Union[str, os.PathLike[str], None] = None,
        drop_images: bool = False,
        on_progress: Optional[Callable[[ImportProgress], object]] = None,
    ) -> ImportReport:
        """Store many conversations; what cannot be stored is reported and left out.

        ``POST /api/v1/conversations`` for each. With a journal an import that was broken off, by Ctrl-C, a lost server
        or the end of the process, is continued by the same call: nothing is stored twice, and nothing is lost. What was
        on its way when it broke off is looked up in the memory (list, get and the MCP tool ``memory_export``, which
        needs the MCP tools' key). Conversations are taken from ``conversations`` as they are stored, so that any number
        of them may come from a generator such as `sekha.exports.read_export`; event loops leave that to threads.
        One that reaches the server more than ten seconds after this import began may be stored once more.
        A conversation above 1.9 MB, of which servers accept 2 MiB, is stored in parts with whole messages, called
        ``A long year (1 of 3)``; one with a message above that is a failure, and nothing of it is stored.
        Chats that `sekha.exports.read_export` has read are known by their ids: those that have changed since an earlier
        import with the same journal are renamed, or replace their earlier version; where the server cannot delete,
        the new messages of one that has only grown are stored as ``Title (continued)``. A conversation of which only a
        part is in the memory is completed.

        Args:
            conversations: What `create_conversation` takes, or what an export could not give. Those without messages
                are counted and left out.
            concurrency: How many are stored at a time, 1 to 100; ``max_concurrent_writes`` is a limit too.
            journal: File in which is noted what is stored; it is made, or continued. It belongs to one server, and to
                one import at a time. None: nothing is noted. One called ``.sekha-journal`` also reads those that
                older versions made beside each file of its folder.
            drop_images: Whether an image that is part of a message may be lost where the server stores text only, or
                where the conversation is too large; else such a conversation is a failure.
            on_progress: Called after each conversation with how many were seen, stored, already stored, grown, renamed,
                replaced, empty, failed; by blocking clients in the threads that store, one at a time. Also called when
                a wait of more than a second begins, with the same numbers and ``waiting``: for what ``reason``, and how
                many ``seconds``.

        Returns:
            The same numbers, ``failures``: position from 1, place, label and error of each that failed;
            ``left_out``: how much was left out of what `sekha.exports.read_export` has read, by kind; ``split``: what
            was stored in parts, each of which is one in all numbers; and ``changes``: place, label and action of what
            was there already and has changed.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, or is no journal.
            SekhaInUseError: Another import uses the journal.
            SekhaError: The server refuses the key or cannot be reached; with a journal, call again to go on. ``report``
                of the error has what was done before it.
            OSError: The journal cannot be read or written; it has a ``report`` as well, and so has `KeyboardInterrupt`.

        Warns:
            SekhaWarning: The server does not keep a key of the messages, such as ``timestamp``; once, as for
                `create_conversation`. Or the server cannot delete, and earlier versions are archived.

        Example:
            ```python
            report = client.controller.import_conversations(
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
                "conversations", f"must be many conversations, not {type_name(cast(object, conversations))}"
            )
        from .import_run import import_all  # loaded ahead where there is an event loop

        return import_all(
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
    """Raise SekhaValidationError for what imports and syncs cannot use."""
    if isinstance(concurrency, bool) or not isinstance(cast(object, concurrency), int) or concurrency < 1:
        raise argument_error("concurrency", "must be a whole number of at least 1")
    if concurrency > _MAX_CONCURRENCY:
        raise argument_error("concurrency", f"must be at most {_MAX_CONCURRENCY}")
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise argument_error("on_progress", "must be a plain function")
