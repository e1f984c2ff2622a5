"""Docstrings as the site reads them: ``Returns`` is one item with all of its words, and no number is private."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from support.packages import require_packages
from support.prose import prose, public_docstrings

require_packages("docs", "griffe")

import griffe  # noqa: E402 - not installed everywhere

ROOT = Path(__file__).parents[2]


def site_options() -> Dict[str, bool]:
    """The options for ``Returns`` with which the site parses docstrings."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    return {name: value == "true" for name, value in re.findall(r"^ +(returns_\w+): (true|false)$", text, re.MULTILINE)}


def documented(owner: griffe.Object) -> Iterator[griffe.Object]:
    """All objects with a docstring that are neither private nor members of something private; modules may be."""
    for member in owner.members.values():
        if member.is_alias:
            continue
        assert isinstance(member, griffe.Object)
        if member.is_module or not member.name.startswith("_"):
            if member.docstring is not None and not member.is_module:
                yield member
            yield from documented(member)


OBJECTS: List[griffe.Object] = sorted(
    documented(griffe.load("sekha", search_paths=[str(ROOT / "src")])),  # type: ignore[arg-type] # a package is one
    key=lambda item: item.path,
)
RETURNING: List[Tuple[str, griffe.Object]] = [
    (item.path, item)
    for item in OBJECTS
    if item.is_function and item.docstring and "\nReturns:\n" in item.docstring.value
]


def test_enough_is_looked_at() -> None:
    assert len(RETURNING) > 100


@pytest.mark.parametrize("item", [item for _, item in RETURNING], ids=[path for path, _ in RETURNING])
def test_what_is_returned_is_one_item(item: griffe.Object) -> None:
    assert item.docstring is not None
    sections: Any = item.docstring.parse("google", **site_options())
    (returned,) = [section for section in sections if section.kind.value == "returns"]
    (only,) = returned.value
    written = item.docstring.value.partition("\nReturns:\n")[2].partition("\n\n")[0]
    assert not only.name
    assert only.description.split()[:5] == written.split()[:5]


def test_a_failure_is_explained() -> None:
    found = [name for name, text in public_docstrings() if re.search(r"\w+Error: It failed\b", text)]
    assert found == []


OTHER_WORDS = re.compile(
    r"\b(flavou?rs?|repetitions?|misspelt|time stamps?|behaviours?|colours?|broken off|breaks off|hits?"
    r"|an? (local |whole )?Sekha(?!\s+(server|deployment|package)))\b",
    re.IGNORECASE,
)
"""Words for which the field has others, by which people search: client type, retry, result, a Sekha server."""


def test_the_words_are_those_of_the_field() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md"))]
    texts = {str(path): path.read_text("utf-8") for path in pages if "contributing" not in path.parts}
    texts.update(public_docstrings())
    found = {
        name: words.group() for name, text in texts.items() for words in [OTHER_WORDS.search(prose(text))] if words
    }
    assert found == {}
    assert OTHER_WORDS.search(prose("The flavour of `hits`"))
