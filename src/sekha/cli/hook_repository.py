"""The repository in which a coding agent works: found by reading what git has written, without running it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SURROGATES = re.compile("[\ud800-\udfff]")
_MAX_POINTER = 64 * 1024
"""Bytes that are read of a file which holds one path."""


def repository_name(directory: str) -> str:
    """Return the name of the repository of a folder, or the name of the folder where there is none.

    All worktrees and subfolders of a repository have one name. It is that of the folder which holds ``.git``, or of a
    bare repository without its ``.git``. A submodule is a repository of its own. A folder that is gone counts as if it
    was there.

    Args:
        directory: The folder; links are followed.
    """
    start = Path(os.path.realpath(directory))
    for folder in (start, *start.parents):
        found = _common_folder(folder)
        if found is not None:
            return _as_text(_name_of(found))
    return _as_text(start.name or start.drive.strip(":\\/") or "root")


def _common_folder(folder: Path) -> Path | None:
    """Return what all worktrees of the repository share that begins in a folder; None if none does."""
    entry = folder / ".git"
    if _is_repository(entry):
        return _follow(entry, "commondir") or entry
    pointed = _pointer(entry, "gitdir:")
    if pointed is not None:
        return _follow(pointed, "commondir") or _without_worktree(pointed, folder)
    return folder if _is_repository(folder) else None


def _is_repository(folder: Path) -> bool:
    """Return whether a folder is what git keeps of a repository, or of a worktree."""
    has_all = all(_exists(folder / name) for name in ("objects", "refs"))
    return _exists(folder / "HEAD") and (has_all or _exists(folder / "commondir"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # nobody may look there
        return False


def _follow(folder: Path, name: str) -> Path | None:
    """Return the folder that a file in another one names."""
    return _pointer(folder / name, "")


def _pointer(path: Path, prefix: str) -> Path | None:
    """Return the folder that a file names behind a prefix; None if there is no such file."""
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
    """Return what a ``.git`` file points to.

    Where that is gone, it is still known of which repository it was a worktree; else the folder is one of its own.
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
    """Return a name without bytes that are no characters."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", name)
