"""Recorded exchanges of the real servers: sending their requests again, and comparing what comes back."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

import httpx

RECORDED = Path(__file__).parents[1] / "data" / "transcripts"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:\.(\d+))?(\+00:00)?")
_LOREM, _DIGITS = "lorem ipsum dolor sit amet " * 11_000, "0123456789"


def _long(label: str, folder: str, content: str) -> Dict[str, Any]:
    return {"label": label, "folder": folder, "messages": [{"role": "user", "content": content}]}


LONG: Dict[str, Any] = {
    "create_long_content": _long("Rig: 300k", "/rig/long", _LOREM),
    "create_1_9_mb": _long("Rig: 1.9M", "/rig/long", _DIGITS * 190_000),
    "store_long": _long("Mcp: 300k", "/mcp/long", _LOREM),
    "store_2_5_mb": _long("Mcp: 2.5M", "/mcp/long", _DIGITS * 250_000),
    "embed_huge": {"text": "lorem ipsum dolor sit amet " * 40_000},
    "summarize_many": {"messages": ["user: the same line again"] * 2000, "level": "daily"},
    "chat_many_messages": {"messages": [{"role": "user", "content": "again"}] * 300},
}
"""Bodies that the recordings clip; what is built here has the recorded checksum."""


class Exchange(NamedTuple):
    service: str
    name: str
    target: str
    method: str
    path: str
    headers: Dict[str, str]
    body: Optional[str]
    status: Optional[int]  # None: the connection closed without an answer
    answer_headers: Dict[str, str]
    text: str


def recorded(service: str) -> Iterator[Exchange]:
    """The exchanges of a recording in their order."""
    with (RECORDED / f"{service}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            asked, answered = one["request"], one["response"]
            body: Union[str, Dict[str, Any], List[Any], None] = asked["body"]
            if isinstance(body, dict) and "$clipped" in body:
                checksum = body["$clipped"]["sha256"]
                body = json.dumps(LONG[one["name"]])
                assert hashlib.sha256(body.encode()).hexdigest() == checksum, one["name"]
            elif body is not None and not isinstance(body, str):
                body = json.dumps(body)
            yield Exchange(
                service,
                one["name"],
                one.get("target", service),
                asked["method"],
                asked["path"],
                asked["headers"],
                body,
                answered["status"],
                answered.get("headers") or {},
                answered.get("body_text") or "",
            )


class Ids:
    """Which id here stands for which in the recording."""

    def __init__(self) -> None:
        self._here: Dict[str, str] = {}

    def here(self, text: str) -> str:
        """A recorded text with the ids of here."""
        return UUID.sub(lambda match: self._here.get(match.group(), match.group()), text)

    def same(self, there: str, here: str) -> bool:
        """Whether an id is the one that stands for the recorded one; the first time, it is from now on."""
        return self._here.setdefault(there, here) == here


class Comparison:
    """
    What differs between a recorded answer and one from here.

    Args:
        ids: The ids so far.
        aside: Names of fields whose values are only compared by their type.
        rows: Names of fields whose lists are only compared by their length and the shape of their rows.
    """

    def __init__(self, ids: Ids, aside: Mapping[str, str], rows: Tuple[str, ...] = ()) -> None:
        self._ids = ids
        self._aside = aside
        self._rows = rows

    def differences(self, there: Any, here: Any, path: str = "$", name: str = "", loose: bool = False) -> List[str]:
        """Each difference in a line, none if they are alike."""
        loose = loose or name in self._aside
        if isinstance(there, dict) and isinstance(here, dict):
            if there.keys() != here.keys():
                return [f"{path}: keys {sorted(there)} there, {sorted(here)} here"]
            parts = [(there[key], here[key], f"{path}.{key}", key) for key in there]
            return [line for one in parts for line in self.differences(*one, loose)]
        if isinstance(there, list) and isinstance(here, list):
            if loose:
                return [line for one in here for line in self.differences((there or here)[0], one, path, "", True)]
            if len(there) != len(here):
                return [f"{path}: {len(there)} rows there, {len(here)} here"]
            rows = zip(there, here)
            loose = name in self._rows
            return [line for t, h in rows for line in self.differences(t, h, f"{path}[]", "", loose)]
        if isinstance(there, str) and isinstance(here, str):
            return self._texts(there, here, path, loose)
        number = (int, float)
        if loose and isinstance(there, number) and isinstance(here, number):
            return []
        return [] if there == here and type(there) is type(here) else [f"{path}: {there!r} there, {here!r} here"]

    def _texts(self, there: str, here: str, path: str, loose: bool) -> List[str]:
        if UUID.fullmatch(there) and UUID.fullmatch(here):
            return [] if loose or self._ids.same(there, here) else [f"{path}: another id"]
        times = TIME.fullmatch(there), TIME.fullmatch(here)
        if times[0] and times[1]:
            forms = [(time[1], len(time[2] or "") == 3, time[3]) for time in times if time]
            return [] if forms[0] == forms[1] else [f"{path}: {there} there, {here} here"]
        return [] if loose or self._ids.here(there) == here else [f"{path}: {there!r} there, {here!r} here"]


def send(client: httpx.Client, exchange: Exchange, ids: Ids, headers: Mapping[str, str]) -> Optional[httpx.Response]:
    """Sends a recorded request; None if the connection closes without an answer."""
    content = None if exchange.body is None else ids.here(exchange.body).encode("utf-8", "surrogatepass")
    url, given = client.base_url.join(ids.here(exchange.path)), {**exchange.headers, **headers}
    try:
        return client.send(httpx.Request(exchange.method, url, headers=given, content=content))
    except httpx.RemoteProtocolError:
        return None
