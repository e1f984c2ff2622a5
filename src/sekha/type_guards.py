"""Type guards and helpers for the content of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union, cast

from typing_extensions import TypeGuard, TypeIs

from sekha.types import ContentPart, MessageRole

__all__ = [
    "extract_image_urls",
    "extract_text",
    "has_images",
    "has_text",
    "is_multi_modal_content",
    "is_string_content",
    "is_valid_role",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


Content = Union[str, Sequence[Mapping[str, object]], None]

_ROLES = frozenset(role.value for role in MessageRole)


def is_string_content(content: object) -> TypeIs[str]:
    """Return whether a message content is plain text.

    Args:
        content: The ``content`` of a message.

    Example:
        ```python
        from sekha.type_guards import is_string_content

        print(is_string_content("Hello"))  # True
        ```
    """
    return isinstance(content, str)


def is_multi_modal_content(content: object) -> TypeGuard[list[ContentPart]]:
    """Return whether a message content is a list of content parts, each with a ``type``.

    Args:
        content: The ``content`` of a message.

    Example:
        ```python
        from sekha.type_guards import is_multi_modal_content

        print(is_multi_modal_content([{"type": "text", "text": "Hello"}]))  # True
        ```
    """
    return isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(cast("Mapping[str, object]", part).get("type"), str)
        for part in cast("list[object]", content)
    )


def is_valid_role(role: object) -> TypeGuard[str]:
    """Return whether a role is one of `sekha.types.MessageRole`.

    Args:
        role: The ``role`` of a message.

    Example:
        ```python
        from sekha.type_guards import is_valid_role

        print(is_valid_role("user"), is_valid_role("wizard"))  # True False
        ```
    """
    return isinstance(role, str) and str(getattr(role, "value", role)) in _ROLES


def extract_text(content: Content) -> str:
    """Return the text of a message content; the texts of parts are joined by newlines.

    Args:
        content: Text, a list of content parts, or None.

    Example:
        ```python
        from sekha.type_guards import extract_text

        print(extract_text([{"type": "text", "text": "Hello"}]))  # Hello
        ```
    """
    if isinstance(content, str):
        return content
    return "\n".join(text for part in content or () if isinstance(text := _text_of(part), str))


def extract_image_urls(content: Content) -> list[str]:
    """Return the URLs of the images in a message content, in order.

    Args:
        content: Text, a list of content parts, or None.

    Example:
        ```python
        from sekha.type_guards import extract_image_urls

        print(
            extract_image_urls(
                [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
            )
        )
        # ['https://example.org/a.png']
        ```
    """
    if content is None or isinstance(content, str):
        return []
    return [url for part in content if isinstance(url := _image_of(part), str)]


def has_text(content: Content) -> bool:
    """Return whether a message content has text that is not blank.

    Args:
        content: Text, a list of content parts, or None.

    Example:
        ```python
        from sekha.type_guards import has_text

        print(has_text("Hello"), has_text("  "))  # True False
        ```
    """
    return bool(extract_text(content).strip())


def has_images(content: Content) -> bool:
    """Return whether a message content has an image.

    Args:
        content: Text, a list of content parts, or None.

    Example:
        ```python
        from sekha.type_guards import has_images

        print(has_images("Hello"))  # False
        ```
    """
    return bool(extract_image_urls(content))


def _text_of(part: object) -> object:
    if not isinstance(part, Mapping):
        return None
    values = cast("Mapping[str, object]", part)
    return values.get("text") if values.get("type") == "text" else None


def _image_of(part: object) -> object:
    if not isinstance(part, Mapping):
        return None
    values = cast("Mapping[str, object]", part)
    if values.get("type") != "image_url":
        return None
    image = values.get("image_url")
    return cast("Mapping[str, object]", image).get("url") if isinstance(image, Mapping) else image
