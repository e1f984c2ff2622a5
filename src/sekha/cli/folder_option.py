"""The option `--folder` of commands that are confined to a folder."""

from __future__ import annotations

from sekha._api.folder_view import FolderView
from sekha._api.validation import argument_error


def parse_folder(folder: str) -> str:
    """Return the folder that an option names, as an absolute path.

    A ``/`` at the end is refused, too: in ``/users/$ID``, an empty variable leaves it, and the folder of all users is
    not what was meant.

    Raises:
        SekhaValidationError: It is not a folder below ``/``.
    """
    names = folder.removeprefix("/").split("/")
    if not any(name.strip() for name in names):
        raise argument_error("folder", f"{folder!r} is not a folder below /, such as /work/shop")
    if not all(name.strip() for name in names[:-1]):
        raise argument_error("folder", f"{folder!r} has an empty name between two /")
    if not names[-1].strip():
        advice = f"write /{'/'.join(names[:-1])} for that folder, or add the name that is missing"
        raise argument_error("folder", f"{folder!r} ends with /: {advice}")
    return FolderView.parse(folder, ()).folder
