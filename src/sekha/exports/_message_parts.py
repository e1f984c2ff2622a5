"""What a message says where images that have an address are kept: a text, or a list of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ConversationBuilder
from sekha.exports._parts import read_parts

Piece = Union[str, "dict[str, Any]"]
"""A text, or the part of an image that has an address."""

_IMAGES = ("image_url", "input_image", "image")


def read_content(content: object, built: ConversationBuilder) -> list[Piece]:
    """Return what a content says, piece by piece, and count what is left out.

    Args:
        content: A text, a part, or a list of those.
        built: Where to count.
    """
    if content is None:
        return []
    parts = as_list(content)
    found: list[Piece] = []
    for part in [content] if parts is None else parts:
        image = _image(part)
        found.extend(read_parts(part if parts is None else [part], built) if image is None else [image])
    return found


def is_as_stored(content: object) -> bool:
    """Return whether a list of parts can be stored as it is: texts, and images that have an address."""
    return all(
        get(part, "type") == ("text" if isinstance(get(part, "text"), str) else "image_url")
        and (isinstance(get(part, "text"), str) or _address(get(part, "image_url")) is not None)
        for part in as_list(content) or [None]
    )


def content_of(pieces: Sequence[Piece]) -> str | list[dict[str, Any]]:
    """Return the content that has these pieces: a text, or parts where there is an image with an address."""
    if all(isinstance(piece, str) for piece in pieces):
        return "\n".join(piece for piece in pieces if isinstance(piece, str))
    return [{"type": "text", "text": piece} if isinstance(piece, str) else piece for piece in pieces]


def _image(part: object) -> dict[str, Any] | None:
    """Return the part of an image that has an address."""
    found = as_object(part)
    if found is None or found.get("type") not in _IMAGES:
        return None
    addresses = (_address(found.get(key)) for key in ("image_url", "source", "image", "url"))
    address = next(filter(None, addresses), None)
    return None if address is None else {"type": "image_url", "image_url": {"url": address}}


def _address(image: object) -> str | None:
    """Return the address of an image; None if there is none, or the image itself in its place."""
    url: object = image if isinstance(image, str) else get(image, "url")
    return url if isinstance(url, str) and url.lower().startswith(("http://", "https://")) else None
