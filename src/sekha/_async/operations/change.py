"""Changes of conversations that an import has stored."""

from __future__ import annotations

from collections.abc import Mapping

from sekha._api.endpoints import ARCHIVE_CONVERSATION, UPDATE_LABEL
from sekha._transport.operations import UPDATE
from sekha._transport.spans import async_traced

from ..transport import AsyncTransport


@async_traced(UPDATE)
async def archive(transport: AsyncTransport, id: str) -> None:
    """Archive a conversation.

    Raises:
        SekhaError: Any other failure; see `sekha.errors`.
    """
    await transport.send(ARCHIVE_CONVERSATION.request(id=id))


@async_traced(UPDATE)
async def set_label(transport: AsyncTransport, id: str, changes: Mapping[str, str]) -> None:
    """Change label and folder of a conversation.

    Args:
        transport: The transport of the controller.
        id: The conversation.
        changes: ``label`` and ``folder``.

    Raises:
        SekhaError: Any other failure; see `sekha.errors`.
    """
    await transport.send(UPDATE_LABEL.request(dict(changes), id=id))
