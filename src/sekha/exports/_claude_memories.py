"""Memories and projects (with their documents) in archives of Claude.

They are read as notes: conversations with one user message. There are two formats of memories and projects:
``memories.json`` and ``projects.json`` in an archive; since 2026, a file for each account and each project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sekha._utils.json_access import as_object, first_text
from sekha.exports._building import ConversationBuilder, ReadConversation

STARTER = "projects made by Claude"
"""Kind of omitted items."""
_FOLDER = "/claude"
_MEMORY_KEYS = frozenset({
    "conversations_memory", "project_memories", "memory_files", "account_uuid", "uuid", "created_at", "updated_at",
})  # fmt: skip
_PROJECT_KEYS = frozenset({
    "uuid", "name", "description", "prompt_template", "docs", "docs_count", "created_at", "updated_at", "creator",
    "is_private", "is_starter_project", "is_starred", "archived_at", "archiver", "type", "subtype", "permissions",
})  # fmt: skip
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f/\s]+")


def is_memories(data: Mapping[str, Any]) -> bool:
    """Return whether an object contains the memories of an account."""
    return "conversations_memory" in data or "project_memories" in data or {"memory_files", "account_uuid"} <= set(data)


def is_project(data: Mapping[str, Any]) -> bool:
    """Return whether an object is a project of Claude."""
    return "docs" in data and ("prompt_template" in data or {"uuid", "name"} <= set(data))


def parse_memories(data: dict[str, Any], folder: str | None) -> Iterator[ReadConversation]:
    """Yield a note for the memory of each project and each file, and finally for the memory of all chats."""
    folder, account = f"{folder or _FOLDER}/memories", data.get("account_uuid")
    notes = _Notes(ConversationBuilder("Memory", folder), folder)
    notes.look_at_keys(data, _MEMORY_KEYS)
    for id, text in notes.pairs_of(data, "project_memories"):
        yield from notes.make(f"Memory of project {id}", text, [account, "project", id], {})
    for file in notes.objects_of(data, "memory_files"):
        path = first_text(file, "path", "filename", "name") or ""
        id = first_text(file, "uuid") or path
        yield from notes.make(path.strip("/"), file.get("content"), [account, "file", id], file)
    yield from notes.finish([data.get("conversations_memory")], [account, "memory"], data)


def parse_project(data: dict[str, Any], folder: str | None) -> Iterator[ReadConversation]:
    """Yield a note for each document of a project, and finally for its description."""
    id, name = data.get("uuid"), (first_text(data, "name") or "").strip()
    place = _NOT_IN_NAMES.sub(" ", name).strip(" .") or (first_text(data, "uuid") or "")[:8] or "project"
    folder = f"{folder or _FOLDER}/projects/{place}"
    notes = _Notes(ConversationBuilder(name, folder), folder)
    if data.get("is_starter_project") is True:
        notes.main.leave_out(STARTER)
        yield notes.main.finish()
        return
    notes.look_at_keys(data, _PROJECT_KEYS)
    for document in notes.objects_of(data, "docs"):
        title = first_text(document, "filename", "file_name", "title") or ""
        yield from notes.make(title, document.get("content"), [id, "document", document.get("uuid")], document)
    yield from notes.finish([data.get("description"), data.get("prompt_template")], [id, "project"], data)


class _Notes:
    """Creates the notes of an object; unrecognized items are counted in its main note, which comes last.

    Args:
        main: The main note.
        folder: Folder of the other notes.
    """

    def __init__(self, main: ConversationBuilder, folder: str) -> None:
        self.main = main
        self._folder = folder
        self._has_made_any = False

    def make(
        self, label: str, text: object, ids: Sequence[object], data: Mapping[str, Any]
    ) -> Iterator[ReadConversation]:
        """Yield a note, even an empty one; nothing if its text is not a string."""
        if text is not None and not isinstance(text, str):
            self.main.not_understood(f"{ids[1]} whose text is no text")
            return
        built = ConversationBuilder(label, self._folder)
        built.add("user", [text or ""], data.get("updated_at") or data.get("created_at"))
        built.take_title_from_words()
        self._has_made_any = True
        yield _finish(built, ids, data)

    def finish(
        self, texts: Sequence[object], ids: Sequence[object], data: Mapping[str, Any]
    ) -> Iterator[ReadConversation]:
        """Yield the main note, unless it is empty and there are others."""
        said = [text for text in texts if isinstance(text, str) and text.strip()]
        for text in texts:
            if text is not None and not isinstance(text, str):
                self.main.not_understood(f"{ids[1]} whose text is no text")
        if said:
            self.main.add("user", said, data.get("updated_at") or data.get("created_at"))
            self.main.take_title_from_words()
        if said or self.main.left_out or not self._has_made_any:
            yield _finish(self.main, ids, data)

    def look_at_keys(self, data: Mapping[str, Any], known: frozenset[str]) -> None:
        """Count the values of unknown keys."""
        for key, value in data.items():
            if key not in known and value:
                self.main.not_understood(f"key {key}")

    def pairs_of(self, data: Mapping[str, Any], key: str) -> Iterator[tuple[str, object]]:
        """Yield the keys and values of an object."""
        found = as_object(data.get(key))
        if found is None and data.get(key) is not None:
            self.main.not_understood(f"{key} that are no object")
        yield from (found or {}).items()

    def objects_of(self, data: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list."""
        for one in self.main.items_of(data.get(key), key):
            if (item := as_object(one)) is not None:
                yield item
            else:
                self.main.not_understood(f"{key} that are no objects")


def _finish(built: ConversationBuilder, ids: Sequence[object], data: Mapping[str, Any]) -> ReadConversation:
    known = [id for id in ids if isinstance(id, str) and id]
    note = built.finish(
        source_id="/".join(known) if len(known) == len(ids) else None,
        created_at=data.get("created_at"),
        updated_at=data.get("updated_at"),
    )
    note.is_chat = False
    return note
