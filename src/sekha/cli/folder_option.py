"""The option `--folder` of commands that are confined to a folder."""

from __future__ import annotations

from sekha._api.folder_view import FolderView
from sekha._api.validation import argument_error


def parse_folder(folder: str) -> str:
    """Return the folder of an option as an absolute path.

    A trailing ``/`` is rejected, too: it remains of ``/users/$ID`` if the variable is empty, and would select the
    folder of all users.

    Raises:
        SekhaValidationError: The value is not a folder below ``/``.
    """
    names = folder.removeprefix("/").split("/")
    if not any(name.strip() for name in names):
        raise argument_error("folder", f"{folder!r} is not a folder below /, such as /work/shop")
    if not all(name.strip() for name in names[:-1]):
        raise argument_error("folder", f"{folder!r} contains an empty name between two /")
    if not names[-1].strip():
        advice = f"use /{'/'.join(names[:-1])} for that folder, or add the missing name"
        raise argument_error("folder", f"{folder!r} ends with /: {advice}")
    return FolderView.parse(folder, ()).folder
