"""Replies for the fake server: whole answers, streams, and ways to break off."""

from __future__ import annotations

import json
from typing import Any, Tuple

from sekha._api.model import Response
from support.server import Reply, Step

DROP = Reply(end="close")
"""The connection is closed instead of an answer."""
RESET = Reply(end="reset")
"""The connection is reset instead of an answer."""
HANG = Reply(end="hang")
"""There is never an answer."""


def raw(*steps: Step, end: Any = "keep") -> Reply:
    """Exactly these steps."""
    return Reply(steps, end)


def head(status: int = 200, content_type: str = "application/json", **headers: str) -> bytes:
    """The head of an answer without its blank line; ``retry_after`` stands for ``retry-after``."""
    lines = [f"HTTP/1.1 {status} Status"]
    if content_type:
        lines.append(f"content-type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "".join(line + "\r\n" for line in lines).encode("latin-1")


def healthy(size: int) -> bytes:
    """The bytes of an answer to `health`: so many of them, head included."""
    start = head(content_length=str(size - 500), x_filler="x")
    filled = start.replace(b": x\r\n", b": %s\r\n" % (b"x" * (499 - len(start))))
    return filled + b"\r\n" + b'{"status": "healthy", "checks": {}}'.ljust(size - 500)


def lie() -> bytes:
    """The bytes of an answer to `query` that nobody has asked for."""
    said = b'{"results": [], "total": 99, "page": 1, "page_size": 10}'
    return head(content_length=str(len(said))) + b"\r\n" + said


def body(data: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """A whole answer."""
    return Reply((head(status, content_type, content_length=str(len(data)), **headers) + b"\r\n" + data,))


def answer(data: Any, status: int = 200, **headers: str) -> Reply:
    """A whole answer of JSON."""
    return body(json.dumps(data).encode(), status, **headers)


def text(data: str, status: int = 200, **headers: str) -> Reply:
    """A whole answer of plain text."""
    return body(data.encode(), status, "text/plain; charset=utf-8", **headers)


def empty(status: int = 200, **headers: str) -> Reply:
    """An answer without a body."""
    return body(b"", status, "", **headers)


def response_of(reply: Reply) -> Response:
    """What a reply is once it was received; it must be a whole answer in one piece."""
    (data,) = reply.steps
    assert isinstance(data, bytes)
    start, _, content = data.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Response(int(first.split(" ")[1]), headers, content)


def tool(data: Any) -> Reply:
    """What an MCP tool answers when all is well."""
    return answer({"success": True, "data": data, "error": None})


def after(step: Step, reply: Reply) -> Reply:
    """The same reply, with something before it."""
    return Reply((step, *reply.steps), reply.end)


def app_error(words: str, status: int) -> Reply:
    """An error in the controller's own form."""
    return answer({"error": words, "code": status}, status)


def cut(data: bytes = b'{"id": ', promised: int = 1000) -> Reply:
    """An answer that ends before its length."""
    return Reply((head(content_length=str(promised)) + b"\r\n" + data,), "close")


def in_chunks(*steps: Step) -> Tuple[Step, ...]:
    """Bytes as chunks of a chunked body; other steps stay."""
    return tuple(b"%x\r\n%s\r\n" % (len(step), step) if isinstance(step, bytes) else step for step in steps)


def chunked(*steps: Step, status: int = 200, content_type: str = "text/event-stream", end: Any = "keep") -> Reply:
    """A chunked answer; its end is there only if the connection is kept."""
    last = (b"0\r\n\r\n",) if end == "keep" else ()
    return Reply(
        (head(status, content_type, transfer_encoding="chunked") + b"\r\n", *in_chunks(*steps), *last),
        end,
    )


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event."""
    shown = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + b"data: " + shown.encode() + b"\n\n"


def delta(content: str = "", finish_reason: Any = None, **more: Any) -> bytes:
    """An event with a piece of an answer."""
    said = {"content": content} if content else {}
    choice = {"index": 0, "delta": said, "finish_reason": finish_reason}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600, "model": "llama3"}
    return event({**chunk, "choices": [choice], **more})


DONE = b"data: [DONE]\n\n"
