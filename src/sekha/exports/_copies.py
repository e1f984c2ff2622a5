"""Conversations that stand in several files, which are read once."""

from __future__ import annotations

from sekha.exports._conversations import ExportItem
from sekha.types import UnreadableConversation


class Copies:
    """Knows which file has had a conversation first. Reading a file again finds no copies in it."""

    def __init__(self) -> None:
        self._files: dict[int, object] = {}

    def is_copy(self, item: ExportItem, file: object) -> bool:
        """Return whether another file has had the same conversation.

        Args:
            item: The conversation.
            file: What the file is told from others by.
        """
        messages = None if isinstance(item, UnreadableConversation) else item.get("messages")
        if not messages or isinstance(item, UnreadableConversation):
            return False
        origin = (getattr(item, "source_id", None), getattr(item, "created_at", None), item.get("label"))
        said = tuple((one["role"], str(one["content"]), one.get("timestamp")) for one in messages)
        return self._files.setdefault(hash((origin, said)), file) != file
