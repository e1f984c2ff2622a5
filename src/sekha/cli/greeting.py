"""What `sekha serve` says of the memory that it has found."""

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
    backup = contents.last_backup or "none (sekha backup FILE makes one)"
    yield f"  {counts}, version {VERSION}, last backup {backup}"
    found = contents.embedded
    if found is not None and found.error is not None:
        yield f"  {found}; the others follow when the model answers: {one_line(found.error)}"
    elif found is not None:
        yield f"  {found}" + ("; the others follow" if found.embedded < found.messages else "")


def describe_defaults(*, has_embeddings: bool, has_llm: bool) -> Iterator[str]:
    """Yield lines about the models that are built in."""
    if not has_embeddings:
        yield "Embeddings: hashed words. Texts are found by their words, not by their meaning (--embeddings-url)."
    if not has_llm:
        yield "Model: none. Answers are quotes of what is remembered (--llm-url)."
