"""What real servers said: the recorded exchanges under ``tests/data/transcripts``, and the endpoint of each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, List, Optional, TypeVar

from sekha._api.endpoints import ENDPOINTS
from sekha._api.model import Endpoint, Response, Service

T = TypeVar("T")
FOLDER = Path(__file__).parents[1] / "data" / "transcripts"
CANARY = "sk-canary-0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Exchange:
    """One request as it was sent, and what came back."""

    file: str
    name: str
    method: str
    path: str
    body: Any
    answer: Response

    @property
    def endpoint(self) -> Optional[Endpoint[Any]]:
        """The row of our table that makes this request."""
        return _endpoint_of(self.file == "bridge", self.method, self.path.partition("?")[0])


_PATTERNS = [
    (row, re.compile(re.escape(row.path).replace(re.escape("{id}"), r"[0-9A-Za-z-]{36}"))) for row in ENDPOINTS
]


@cache
def _endpoint_of(bridge: bool, method: str, route: str) -> Optional[Endpoint[Any]]:
    for endpoint, pattern in _PATTERNS:
        here = (endpoint.service is Service.BRIDGE) == bridge
        if here and endpoint.method == method and pattern.fullmatch(route):
            return endpoint
    return None


def exchanges(*files: str) -> List[Exchange]:
    """Every recorded exchange that ended with an answer."""
    found: List[Exchange] = []
    for file in files or ("controller", "mcp", "bridge", "story"):
        for line in (FOLDER / f"{file}.jsonl").read_text("utf-8").splitlines():
            said = json.loads(line)
            asked, got = said["request"], said["response"]
            if got["status"] is not None:
                answer = Response(got["status"], got["headers"], got["body_text"].encode())
                found.append(Exchange(file, said["name"], asked["method"], asked["path"], asked["body"], answer))
    return found


def recorded(name: str, file: str = "controller") -> Exchange:
    """The exchange of that name."""
    return next(exchange for exchange in exchanges(file) if exchange.name == name)


def answer(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Response:
    """An answer with a body: bytes as they are, text encoded, the rest as JSON."""
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": content_type, **found} if content_type else found, data)


def parse(endpoint: Endpoint[T], response: Response) -> T:
    """What the library makes of a response."""
    return endpoint.parser.parse(response, endpoint)
