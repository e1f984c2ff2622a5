"""Lines of `sekha serve` about its data file and models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sekha.cli.terminal import one_line

if TYPE_CHECKING:
    from sekha.local.contents import Contents


def describe_contents(contents: Contents) -> Iterator[str]:
    """Yield lines about a data file."""
    from sekha.local.database import VERSION

    counts = f"{contents.conversations:,} conversations, {contents.messages:,} messages"
    backup = contents.last_backup or "none (create one with sekha backup FILE)"
    yield f"  {counts}, version {VERSION}, last backup {backup}"
    found = contents.embedded
    if found is not None and found.error is not None:
        others = "; the rest is computed once the model is available" if found.embedded < found.messages else ""
        yield f"  {found}{others}: {one_line(found.error)}"
    elif found is not None:
        yield f"  {found}" + ("; the rest is being computed" if found.embedded < found.messages else "")


def describe_defaults(*, has_embeddings: bool, has_llm: bool) -> Iterator[str]:
    """Yield lines about the built-in replacements for models."""
    if not has_embeddings:
        yield "Embeddings: built-in word hashing, which matches words, not meaning. For a model: --embeddings-url."
    if not has_llm:
        yield "Model: none; answers quote memories. For a model: --llm-url."
