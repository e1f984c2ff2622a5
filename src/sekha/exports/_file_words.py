"""Placeholders in brackets for files of a message: images, documents and recordings."""

from __future__ import annotations

import re

from sekha._utils.json_access import get
from sekha.exports._building import ConversationBuilder

IMAGE = "[image]"
_NAMES = ("filename", "file_name", "title", "name", "originalName", "fileIdentifier")
_KINDS = ("type", "fileType", "content_type", "mime_type", "mimeType")
_FILE_NAME = re.compile(r"(?!data:)[^/\\\n]{1,200}\.\w{1,8}")
_IMAGE_NAME = re.compile(r".+\.(?:png|jpe?g|gif|webp|heic|heif|bmp|tiff?|svg|avif)", re.IGNORECASE | re.DOTALL)


def read_files(files: object, what: str, built: ConversationBuilder) -> list[str]:
    """Return a placeholder for each file of a message.

    Args:
        files: The list of files; None if there are none.
        what: Their name in the counts, if the value is not a list.
        built: The builder that counts this.

    Returns:
        The placeholders.
    """
    return [word_for(file) for file in built.items_of(files, what) if file is not None]


def word_for(file: object, default: str = "file") -> str:
    """Return the placeholder for a file: ``[image]``, or its name.

    Args:
        file: An object that describes the file, or its name or URL.
        default: The name of a file without a name.

    Returns:
        The placeholder.
    """
    kinds: list[str] = []
    names: list[str] = []
    if isinstance(file, str):
        kinds += [file[5:]] if file.startswith("data:") else []
        names += [file] if _FILE_NAME.fullmatch(file) else []
    else:
        kinds += [kind.lower() for key in _KINDS if isinstance(kind := get(file, key), str)]
        places = (file, get(file, "file"), get(file, "source"), get(file, "file", "meta"))
        names += [name for place in places for key in _NAMES if isinstance(name := get(place, key), str)]
    name = next((name.strip() for name in names if name.strip()), "")
    if any(kind.startswith("image") for kind in kinds) or is_image_name(name):
        return IMAGE
    return f"[{name or default}]"


def is_image_name(name: str) -> bool:
    """Return whether a file is an image, by its name."""
    return _IMAGE_NAME.fullmatch(name) is not None


def name_in_brackets(file: object, default: object = None) -> str:
    """Return the name of a file, including an image, in brackets.

    Args:
        file: An object that describes the file, or its name.
        default: The name of a file without a name.

    Returns:
        The placeholder.
    """
    names = (file, *(get(file, key) for key in _NAMES), default)
    return f"[{next((name.strip() for name in names if isinstance(name, str) and name.strip()), 'file')}]"
