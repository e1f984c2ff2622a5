"""A visitor of an ASGI application, in this process and without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional

import anyio


@dataclass
class Visit:
    """What a visitor was sent."""

    status: int = 0
    pieces: List[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        return b"".join(self.pieces).decode()


async def visit(app: Any, path: str, leave: Optional[Callable[[], object]] = None) -> Visit:
    """Ask for a page, and return when the application has ended.

    Args:
        app: The application.
        path: The page.
        leave: The visitor leaves after the first piece of the body, when the application waits for the next one, and
            calls this; None if they stay.
    """
    seen = Visit()
    asked, left = anyio.Event(), anyio.Event()

    async def receive() -> Dict[str, Any]:
        if not asked.is_set():
            asked.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            seen.status = message["status"]
        elif message.get("body") and not left.is_set():  # servers drop what nobody receives
            seen.pieces.append(message["body"])
            if leave is not None:
                left.set()
                leave()
        elif not message.get("more_body"):  # servers say so after the end, too
            left.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
        "state": {},
    }
    with anyio.fail_after(20):
        await app(scope, receive, send)
    return seen
