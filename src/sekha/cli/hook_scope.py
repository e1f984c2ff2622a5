"""Whose memory a hook is for: that of a repository, or of a folder that is named."""

from __future__ import annotations

from dataclasses import dataclass

from sekha._api.scopes import Scope


@dataclass(frozen=True)
class FolderScope(Scope):
    """The scope of a repository, ``/code/NAME``, unless another folder is named.

    Args:
        path: The other folder; empty for none.
    """

    path: str = ""

    @property
    def folder(self) -> str:
        """The folder of the memory."""
        return self.path or super().folder
