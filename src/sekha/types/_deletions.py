"""What the deletion of a folder tells."""

from typing import List

from typing_extensions import TypedDict

from sekha.types._base import allow_extra


@allow_extra
class DeletionFailure(TypedDict):
    """A conversation that was not deleted; it may be all the same where ``may_have_been_applied`` is True."""

    id: str
    label: str
    error: str
    may_have_been_applied: bool


@allow_extra
class DeletionReport(TypedDict):
    """What ``delete_conversations`` did, or would do.

    ``found`` is the number of conversations in the folder, ``deleted`` and ``archived`` have ids. ``cannot_delete`` is
    True where this client knows that the server cannot delete.
    """

    found: int
    deleted: List[str]
    archived: List[str]
    failed: List[DeletionFailure]
    dry_run: bool
    cannot_delete: bool
