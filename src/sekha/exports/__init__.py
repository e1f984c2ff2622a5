"""What other applications let their users take along, and folders of notes, read conversation by conversation.

`read_export` reads the exports of ChatGPT, Claude and others (``conversations.json``, or the archive that it came in),
and a plain form: JSON lines, each a dictionary as `MemoryController.create_conversation` takes it. `read_notes` reads
folders of Markdown and text files.
"""

from __future__ import annotations

from sekha.exports._files import read_export
from sekha.exports._kinds import ExportItem
from sekha.exports._notes import read_notes
from sekha.types import UnreadableConversation

__all__ = ["ExportItem", "UnreadableConversation", "read_export", "read_notes"]

read_export.__module__ = read_notes.__module__ = __name__  # the path from which they are imported


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
