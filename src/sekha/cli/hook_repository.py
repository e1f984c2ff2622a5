"""Find the repository of a directory by reading the files of git, without running git."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SURROGATES = re.compile("[\ud800-\udfff]")
_MAX_POINTER = 64 * 1024
"""Maximum number of bytes to read from a file that contains a path."""


def repository_name(directory: str) -> str:
    """Return the name of the repository of a folder, or the name of the folder if it is not in a repository.

    All worktrees and subfolders of a repository have the same name: the name of the folder that contains ``.git``, or
    of a bare repository without the suffix ``.git``. A submodule is a separate repository. The folder need not exist.

    Args:
        directory: The folder; symbolic links are followed.

    Returns:
        The name.
    """
    start = Path(os.path.realpath(directory))
    for folder in (start, *start.parents):
        found = _common_folder(folder)
        if found is not None:
            return _as_text(_name_of(found))
    return _as_text(start.name or start.drive.strip(":\\/") or "root")


def _common_folder(folder: Path) -> Path | None:
    """Return the common directory of the repository whose top level is a folder; None if it is not one."""
    entry = folder / ".git"
    if _is_repository(entry):
        return _follow(entry, "commondir") or entry
    pointed = _pointer(entry, "gitdir:")
    if pointed is not None:
        return _follow(pointed, "commondir") or _without_worktree(pointed, folder)
    return folder if _is_repository(folder) else None


def _is_repository(folder: Path) -> bool:
    """Return whether a folder is the git directory of a repository or of a worktree."""
    has_all = all(_exists(folder / name) for name in ("objects", "refs"))
    return _exists(folder / "HEAD") and (has_all or _exists(folder / "commondir"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no permission to read the folder
        return False


def _follow(folder: Path, name: str) -> Path | None:
    """Return the folder whose path is in a file of a folder."""
    return _pointer(folder / name, "")


def _pointer(path: Path, prefix: str) -> Path | None:
    """Return the folder whose path is in a file, after a prefix; None if there is no such file."""
    try:
        with open(path, "rb") as file:
            line = os.fsdecode(file.read(_MAX_POINTER)).strip()
    except OSError:
        return None
    named = line[len(prefix) :].strip() if line.startswith(prefix) else ""
    if not named or "\0" in named:
        return None
    return Path(os.path.realpath(path.parent / named))


def _without_worktree(pointed: Path, folder: Path) -> Path:
    """Return the common directory for the target of a ``.git`` file.

    The path of a worktree contains its repository, even if the target was deleted. Otherwise, without a target, treat
    the folder as a separate repository.
    """
    if pointed.parent.name == "worktrees":
        return pointed.parent.parent
    return pointed if _is_repository(pointed) else folder / ".git"


def _name_of(common: Path) -> str:
    """Return the name of a repository."""
    name = common.name
    if name.startswith("."):  # `.git`, and `.bare` beside its worktrees
        return common.parent.name or "root"
    return name[: -len(".git")] if name.endswith(".git") else name


def _as_text(name: str) -> str:
    """Return a name with undecodable bytes replaced."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", name)
