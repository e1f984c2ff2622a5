"""Chats of Claude's designs (``design_chats/`` of the export), which have a separate format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ReadConversation
from sekha.exports._claude import parse_claude


def is_claude_design(data: dict[str, Any]) -> bool:
    """Return whether an object is such a chat."""
    contents = (as_object(get(message, "content")) for message in as_list(data.get("messages")) or ())
    return any(content is not None and "contentBlocks" in content for content in contents)


def parse_claude_design(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation, after conversion to the format of other chats of Claude."""
    messages = [one for message in as_list(data.get("messages")) or () for one in _messages_of(message)]
    title = data.get("title") or get(data, "project", "name")
    return parse_claude({**data, "name": title, "chat_messages": messages}, folder)


def _messages_of(message: object) -> Iterator[object]:
    """Yield a message, in several parts if the user wrote in the middle of an answer."""
    found, content = as_object(message), as_object(get(message, "content"))
    if found is None or content is None:
        yield message
        return
    about = {"sender": found.get("role"), "created_at": found.get("created_at") or content.get("timestamp")}
    blocks: list[object] = []
    for block in as_list(content.get("contentBlocks")) or ():
        if get(block, "type") == "user_interjection":
            if blocks:
                yield {**about, "content": blocks}
            said: object = get(block, "message")
            yield {**about, "sender": "user", "text": said if isinstance(said, str) else get(said, "content")}
            blocks = []
        else:
            blocks.append(_plain_block(block))
    text = None if blocks else content.get("content")
    attachments = as_list(content.get("attachments")) or ()
    rest = [{"file_name": get(one, "name"), "extracted_content": get(one, "content")} for one in attachments]
    if blocks or text or rest or not content.get("contentBlocks"):
        yield {**about, "content": blocks, "text": text, "attachments": rest}


def _plain_block(block: object) -> object:
    if get(block, "type") == "tool_call":
        return {"type": "tool_use", "name": get(block, "toolCall", "name"), "input": get(block, "toolCall", "input")}
    return block
