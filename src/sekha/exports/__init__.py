"""What other applications let their users take along, and folders of notes, read conversation by conversation.

`read_export` reads the exports of ChatGPT, Claude and others (``conversations.json``, or the archive that it came in),
and a plain form: JSON lines, each a dictionary as `MemoryController.create_conversation` takes it. `read_notes` reads
folders of Markdown and text files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekha._utils.public import load_late

if TYPE_CHECKING:
    from sekha.exports._conversations import ExportItem
    from sekha.exports._files import read_export
    from sekha.exports._notes import read_notes
    from sekha.types import UnreadableConversation

__all__ = ["ExportItem", "UnreadableConversation", "read_export", "read_notes"]

_LATE = {
    "ExportItem": "sekha.exports._conversations",
    "UnreadableConversation": "sekha.types",
    "read_export": "sekha.exports._files",
    "read_notes": "sekha.exports._notes",
}
"""What is loaded when it is first asked for, since clients need none of the readers; and where it is."""

if not TYPE_CHECKING:  # they know all names, and tell which ones do not exist

    def __getattr__(name: str) -> object:
        return load_late(__name__, name, _LATE)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
