"""The scope of a hook: the folder of a repository, or the folder of an option."""

from __future__ import annotations

from dataclasses import dataclass

from sekha._api.scopes import Scope


@dataclass(frozen=True)
class FolderScope(Scope):
    """The scope of a repository, ``/code/NAME``, or another folder.

    Args:
        path: The other folder; empty for the folder of the repository.
    """

    path: str = ""

    @property
    def folder(self) -> str:
        """The folder of the memory."""
        return self.path or super().folder
