"""Conversations of ChatGPT to read, made of small pieces."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from sekha.exports._building import ReadConversation
from sekha.exports._chatgpt import parse_chatgpt


def text(*parts: Any, kind: str = "text") -> Dict[str, Any]:
    return {"content_type": kind, "parts": list(parts)}


def node(id: str, parent: Optional[str], content: Any = None, *, role: str = "user", **more: Any) -> Dict[str, Any]:
    """A node as newer exports have it, without `children`; a plain string is a message of text."""
    message = {
        "id": id,
        "author": {"role": role, "name": more.pop("name", None)},
        "content": text(content) if isinstance(content, str) else content,
        "recipient": "all",
        "metadata": {},
        **more,
    }
    return {"id": id, "parent": parent, "message": None if content is None else message}


def answer(id: str, parent: Optional[str], content: Any, **more: Any) -> Dict[str, Any]:
    return node(id, parent, content, role="assistant", **more)


def tool(id: str, parent: Optional[str], content: Any, **more: Any) -> Dict[str, Any]:
    return node(id, parent, content, role="tool", **more)


def chat(*nodes: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    return {"title": "A chat", "mapping": {one["id"]: one for one in nodes}, **more}


def line(*messages: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    """A conversation without branches: each message stands below the one before it."""
    ids: List[Optional[str]] = [None, *(str(one["id"]) for one in messages)]
    nodes = [{**one, "parent": ids[number]} for number, one in enumerate(messages)]
    return chat(*nodes, current_node=ids[-1], **more)


def read(data: Dict[str, Any]) -> ReadConversation:
    return parse_chatgpt(data, None)


def said(data: Dict[str, Any]) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(data)["messages"]]
