"""What the site takes from the project when `mkdocs` builds it: the version, the license, labels for tables on phones."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
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


class TableLabels(Extension):
    """Writes the name of its column at each cell of a table, for pages that are too narrow for columns."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # the name is Markdown's
        """Run after the text of the cells has been read."""
        md.treeprocessors.register(_Labels(md), "table_labels", 0)


class _Labels(Treeprocessor):
    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            names = ["".join(cell.itertext()).strip() for cell in table.iterfind("thead/tr/th")]
            if len(names) > COLUMNS_WITHOUT_LABELS:
                for row in table.iterfind("tbody/tr"):
                    for name, cell in zip(names, row):
                        if name:
                            cell.set("data-label", name)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give the templates the version, and label the cells of tables."""
    config.extra["package_version"] = package_version()
    config.markdown_extensions.append(TableLabels())  # type: ignore[arg-type]  # an instance is accepted, too
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the license, so that the footer can link to it."""
    files.append(File.generated(config, "LICENSE.txt", abs_src_path=str(ROOT / "LICENSE")))
    return files
