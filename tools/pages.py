"""What the commands that write a page of the documentation have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
MKDOCS_ENVIRONMENT = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
"""Plugins of mkdocs print warnings about its future, which are no faults of our pages."""


def run(
    tool: str, about: str, page: str, wanted: Callable[[Path], str], arguments: Optional[Sequence[str]] = None
) -> int:
    """Run a command that writes one page.

    Args:
        tool: The name of its file.
        about: What it does, in one sentence.
        page: What it writes, from the root of the repository.
        wanted: What the page has to be, from the root.
        arguments: The words after its name; None takes those of the process.

    Returns:
        The status for the shell.
    """
    return run_all(tool, about, lambda root: {page: wanted(root)}, arguments)


def run_all(
    tool: str, about: str, wanted: Callable[[Path], Mapping[str, str]], arguments: Optional[Sequence[str]] = None
) -> int:
    """Run a command that writes several files.

    Args:
        tool: The name of its file.
        about: What it does, in one sentence.
        wanted: What the files have to be, by their paths from the root of the repository.
        arguments: The words after its name; None takes those of the process.

    Returns:
        The status for the shell.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file would change")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: the one of this file)")
    options = parser.parse_args(arguments)
    status = 0
    for page, text in wanted(options.root).items():
        file = options.root / page
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            print(f"{page} is out of date, run: python tools/{tool}")
            status = 1
            continue
        file.write_bytes(text.encode())
        print(f"wrote {page}")
    return status
