# Generated from src/sekha/_async/operations/change.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Changes of conversations that an import has stored."""

from __future__ import annotations

from collections.abc import Mapping

from sekha._api.endpoints import ARCHIVE_CONVERSATION, UPDATE_LABEL
from sekha._transport.operations import UPDATE
from sekha._transport.spans import traced

from ..transport import Transport


@traced(UPDATE)
def archive(transport: Transport, id: str) -> None:
    """Archive a conversation.

    Raises:
        SekhaError: Any other failure; see `sekha.errors`.
    """
    transport.send(ARCHIVE_CONVERSATION.request(id=id))


@traced(UPDATE)
def set_label(transport: Transport, id: str, changes: Mapping[str, str]) -> None:
    """Change label and folder of a conversation.

    Args:
        transport: The transport of the controller.
        id: The conversation.
        changes: ``label`` and ``folder``.

    Raises:
        SekhaError: Any other failure; see `sekha.errors`.
    """
    transport.send(UPDATE_LABEL.request(dict(changes), id=id))
