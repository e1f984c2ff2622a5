"""What mkdocs does with our pages when it builds the site: the version, the license, and what helps on phones."""

from __future__ import annotations

import re
from html import escape, unescape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
COLUMNS_WITHOUT_LABELS = 2
"""A table of a term and its explanation is clear without the names of its columns."""


def package_version() -> str:
    """Read the version of the package, without importing it."""
    text = (ROOT / "src" / "sekha" / "_version.py").read_text("utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert match, "no version in _version.py"
    return match[1]


def label_cells(html: str) -> str:
    """Write at each cell of a table the name of its column, which pages show that are too narrow for columns."""
    return re.sub(r"<table>.*?</table>", lambda table: _label_table(table[0]), html, flags=re.DOTALL)


def _label_table(table: str) -> str:
    heads = re.findall(r"<th\b[^>]*>(.*?)</th>", table, re.DOTALL)
    names = [escape(unescape(re.sub(r"<[^>]+>", "", head)).strip()) for head in heads]
    if len(names) <= COLUMNS_WITHOUT_LABELS:
        return table

    def label_row(row: re.Match[str]) -> str:
        left = iter(names)
        return re.sub(r"<td\b", lambda cell: f'{cell[0]} data-label="{next(left, "")}"', row[0])

    return re.sub(r"<tr>.*?</tr>", label_row, table, flags=re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give the version to the templates."""
    config.extra["package_version"] = package_version()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the license, so that the footer can link to it."""
    files.append(File.generated(config, "LICENSE.txt", abs_src_path=str(ROOT / "LICENSE")))
    return files


def link_pictures(html: str) -> str:
    """Let pictures of screens lead to themselves in their full size, which a phone can enlarge."""
    screens = r'<img [^>]*\bsrc="([^"]+(?:\.png|/demo\.svg))"[^>]*>(?!</a>)'
    return re.sub(screens, lambda image: f'<a href="{image[1]}">{image[0]}</a>', html)


def on_page_content(html: str, **_: Any) -> str:
    """Label the cells of tables, and link pictures."""
    return link_pictures(label_cells(html))
