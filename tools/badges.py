"""Draw the badges of the README from `pyproject.toml`: docs/assets/badge-*.svg.

    python tools/badges.py           write what differs
    python tools/badges.py --check   write nothing; exit 1 if a file is not what would be written

They are files of the project, so that a reader of the README loads nothing from another host.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Dict, List

from pages import run_all

CHARACTER = 6.3
"""Mean width of a character at 11 px; `textLength` fits the text to the width that follows from it."""

BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{left}: {right}">
  <title>{left}: {right}</title>
  <rect width="{width}" height="20" rx="4" fill="#27499e"/>
  <path d="M4 0H{middle}V20H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#3b4458"/>
  <g fill="#fff" font-family="Verdana, 'DejaVu Sans', sans-serif" font-size="11" text-anchor="middle">
    <text x="{left_at}" y="14" textLength="{left_width}">{left}</text>
    <text x="{right_at}" y="14" textLength="{right_width}">{right}</text>
  </g>
</svg>
"""


def draw(left: str, right: str) -> str:
    """Draw a badge."""
    left_width, right_width = (round(len(text) * CHARACTER) for text in (left, right))
    middle = left_width + 14
    return BADGE.format(
        left=left,
        right=right,
        left_width=left_width,
        right_width=right_width,
        middle=middle,
        width=middle + right_width + 14,
        left_at=middle / 2,
        right_at=middle + (right_width + 14) / 2,
    )


def badges(project: str) -> Dict[str, str]:
    """Return the name and the drawing of each badge, from the text of `pyproject.toml`."""
    versions: List[str] = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    license_ = re.search(r'^license = "(.+)"$', project, re.MULTILINE)
    assert versions
    assert license_
    assert '"Typing :: Typed"' in project
    return {
        "badge-python.svg": draw("python", f"{versions[0]} – {versions[-1]}"),
        "badge-license.svg": draw("license", license_[1]),
        "badge-typed.svg": draw("types", "included"),
    }


def wanted(root: Path) -> Dict[str, str]:
    """Return what each file has to be, by its path from the root of the repository."""
    drawn = badges((root / "pyproject.toml").read_text("utf-8"))
    return {f"docs/assets/{name}": text for name, text in drawn.items()}


if __name__ == "__main__":
    sys.exit(run_all("badges.py", "Draw the badges of the README.", wanted))
