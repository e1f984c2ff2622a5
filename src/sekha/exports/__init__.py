"""Readers for exports of other applications, and for folders of notes.

`read_export` reads the exports of ChatGPT, Claude and others (``conversations.json``, or the archive that contains it),
and JSON lines with the arguments of `MemoryController.create_conversation`. `read_notes` reads folders of Markdown and
text files. Both read one conversation after another.
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
"""Public names that are loaded on first use, since clients do not need them, with their modules."""

if not TYPE_CHECKING:  # type checkers know all names, and report unknown ones

    def __getattr__(name: str) -> object:
        return load_late(__name__, name, _LATE)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
