"""Hashes that identify conversations in a journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from sekha._api.stored import label_and_folder


def fingerprint(conversation: Mapping[str, Any]) -> str:
    """Return a hash that is equal for conversations that would be stored identically."""
    parts = [conversation.get(key) for key in ("label", "folder", "importance_score")]
    messages = [[message["role"], message["content"]] for message in conversation["messages"]]
    return hashlib.sha256(_encode([parts, messages]).encode()).hexdigest()[:32]


def fingerprints_of_beginnings(conversation: Mapping[str, Any]) -> list[str]:
    """Return the fingerprints that a conversation had when it had one message, two messages and so on."""
    parts = [conversation.get(key) for key in ("label", "folder", "importance_score")]
    begun, found = hashlib.sha256(f"[{_encode(parts)}, [".encode()), list[str]()
    for message in conversation["messages"]:
        begun.update((", " * bool(found) + _encode([message["role"], message["content"]])).encode())
        ended = begun.copy()
        ended.update(b"]]")
        found.append(ended.hexdigest()[:32])
    return found


_encode = json.JSONEncoder(sort_keys=True, default=str).encode  # json.dumps would create an encoder for each call

Address = tuple[str, str]
"""Hashes of label and folder."""


class Digests(NamedTuple):
    """Hashes of label, folder and messages."""

    label: str
    folder: str
    messages: str


def digests_of(conversation: Mapping[str, Any]) -> Digests:
    """Return the hashes of a conversation's parts; surrounding spaces are ignored, since servers may add some."""
    label, folder = digest(conversation["label"]), digest(conversation["folder"])
    return Digests(label, folder, digest_messages(conversation["messages"]))


def digest_messages(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of messages."""
    return digest([[message["role"], _stripped(message["content"])] for message in messages])


def address_of(conversation: Mapping[str, Any]) -> Address:
    """Return the hashes of label and normalized folder."""
    label, folder = label_and_folder(conversation)
    return digest(label), digest(folder)


def _stripped(content: Any) -> Any:
    return content.strip() if isinstance(content, str) else content


@lru_cache(maxsize=256)  # many conversations have the same folder, and labels are needed twice
def digest_text(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(encode_basestring_ascii(text).encode()).hexdigest()[:16]


def digest(part: object) -> str:
    """Return a short hash of a part of a conversation."""
    return digest_text(part) if type(part) is str else hashlib.sha256(_encode(part).encode()).hexdigest()[:16]
