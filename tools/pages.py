"""What the commands that write a page of the documentation have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]


def run(
    tool: str, about: str, page: str, wanted: Callable[[Path], str], arguments: Optional[Sequence[str]] = None
) -> int:
    """Run such a command.

    Args:
        tool: The name of its file.
        about: What it does, in one sentence.
        page: What it writes, from the root of the repository.
        wanted: What the page has to be, from the root.
        arguments: The words after its name; None takes those of the process.

    Returns:
        The status for the shell.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page would change")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: the one of this file)")
    options = parser.parse_args(arguments)
    file, text = options.root / page, wanted(options.root)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return 0
    if options.check:
        print(f"{page} is out of date, run: python tools/{tool}")
        return 1
    file.write_bytes(text.encode())
    print(f"wrote {page}")
    return 0
