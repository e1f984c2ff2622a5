"""Store the turns in the outbox exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sekha.cli.hook_state import HookState
from sekha.errors import SekhaAuthError, SekhaConnectionError, SekhaError, SekhaPermissionError, SekhaRateLimitError

if TYPE_CHECKING:
    from sekha._sync.client import SekhaClient

MAX_TRIES = 3
"""Maximum number of attempts to store a conversation that the server rejects."""
_CONCERNS_ALL = (SekhaAuthError, SekhaConnectionError, SekhaPermissionError, SekhaRateLimitError)


def deliver(client: SekhaClient, state: HookState) -> Iterator[str]:
    """Store the turns in the outbox, oldest first.

    Yields:
        Lines that report the outcome.

    Raises:
        SekhaError: A request failed. Unstored turns stay in the outbox for the next run.
        OSError: A file cannot be read or written.
    """
    failed: SekhaError | None = None
    for name in state.outbox():
        turns = state.turns(name)
        conversations = [turn.conversation for turn in turns]
        try:
            report = client.controller.import_conversations(
                conversations, concurrency=1, journal=state.journal(name), drop_images=True
            )
        except SekhaError as error:
            if isinstance(error, _CONCERNS_ALL):
                raise
            failed = failed or error
            continue
        number = len(conversations) - report["failed"]
        where = ", ".join(sorted({str(one["folder"]) for one in conversations}))
        if number:
            yield f"stored {number:,} of {len(conversations):,} turns in {where}"
        tries = state.count_try(name) if report["failed"] else 0
        is_last = tries >= MAX_TRIES
        for failure in report["failures"]:
            outlook = "skipped after the last attempt" if is_last else "the next run retries it"
            yield f"turn {failure['position']} not stored: {failure['error']}; {outlook}"
        if not report["failed"] or is_last:
            state.finish(name)
    if failed is not None:
        raise failed
