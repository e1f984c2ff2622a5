"""Which tools a server offers, and to which folder it is confined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sekha._api.folder_view import FolderView

from .tools import TOOLS, Tool


class OptionError(Exception):
    """An option cannot be used; the message says why."""


@dataclass(frozen=True)
class ServerOptions:
    """What a server may do.

    Args:
        folder: The folder of all reads and writes; None for the whole memory.
        read_only: Whether tools that change something are left out.
        tools: Names of the tools to offer; None for all that are possible.
    """

    folder: str | None = None
    read_only: bool = False
    tools: Sequence[str] | None = None

    def check(self) -> None:
        """Check the options.

        Raises:
            OptionError: A tool is unknown, or the other options rule it out.
            SekhaValidationError: The folder is not one.
        """
        if self.folder is not None:
            FolderView.parse(self.folder, ())
        self.offered()

    def offered(self) -> dict[str, Tool]:
        """Return the tools by their names.

        Raises:
            OptionError: A tool is unknown, or the other options rule it out.
        """
        possible = {tool.name: tool for tool in TOOLS if self._why_not(tool) is None}
        if self.tools is None:
            return possible
        known = {tool.name: tool for tool in TOOLS}
        for name in self.tools:
            if name not in known:
                raise OptionError(f"--tools: there is no tool {name!r}; there are {', '.join(known)}")
            reason = self._why_not(known[name])
            if reason is not None:
                raise OptionError(f"--tools: {name} {reason}")
        if not self.tools:
            raise OptionError(f"--tools: names no tool; there are {', '.join(known)}")
        return {name: tool for name, tool in possible.items() if name in self.tools}

    def _why_not(self, tool: Tool) -> str | None:
        if self.read_only and tool.writes:
            return "changes the memory, which --read-only forbids"
        if self.folder is not None and not tool.in_folder:
            return "applies to the whole memory, and --folder restricts the server to a part of it"
        return None
