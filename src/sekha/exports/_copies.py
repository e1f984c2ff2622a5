"""Skip copies of conversations in other files."""

from __future__ import annotations

from sekha.exports._conversations import ExportItem
from sekha.types import UnreadableConversation


class Copies:
    """Records the first file of each conversation. Reading that file again finds no copies in it."""

    def __init__(self) -> None:
        self._files: dict[int, object] = {}

    def is_copy(self, item: ExportItem, file: object) -> bool:
        """Return whether an earlier file has the same conversation.

        Args:
            item: The conversation.
            file: A unique name of the file.
        """
        messages = None if isinstance(item, UnreadableConversation) else item.get("messages")
        if not messages or isinstance(item, UnreadableConversation):
            return False
        origin = (getattr(item, "source_id", None), getattr(item, "created_at", None), item.get("label"))
        said = tuple((one["role"], str(one["content"]), one.get("timestamp")) for one in messages)
        return self._files.setdefault(hash((origin, said)), file) != file
