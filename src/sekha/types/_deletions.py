"""Report of the deletion of a folder."""

from typing import List

from typing_extensions import TypedDict

from sekha.types._base import allow_extra


@allow_extra
class DeletionFailure(TypedDict):
    """A failed deletion; the conversation may be deleted nevertheless if ``may_have_been_applied`` is True."""

    id: str
    label: str
    error: str
    may_have_been_applied: bool


@allow_extra
class DeletionReport(TypedDict):
    """Report of ``delete_conversations``, or of its dry run.

    ``found`` is the number of conversations in the folder; ``deleted`` and ``archived`` list IDs. ``cannot_delete`` is
    True if the server is known not to support deletion.
    """

    found: int
    deleted: List[str]
    archived: List[str]
    failed: List[DeletionFailure]
    dry_run: bool
    cannot_delete: bool
