"""Reports of imports and syncs."""

from typing import Dict, List, NamedTuple, Optional

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import allow_extra


class UnreadableConversation(NamedTuple):
    """An unreadable conversation in an export.

    Attributes:
        place: Its position: file and number or line, with its title if it has one.
        problem: What is wrong with it.
    """

    place: str
    problem: str


@allow_extra
class ImportFailure(TypedDict):
    """A conversation that was not imported.

    ``position`` counts from 1; ``place`` is its position in an export, else None. ``may_have_been_applied`` is True if
    it may be stored nevertheless; the next run with the same journal checks this.
    """

    position: int
    place: Optional[str]
    label: Optional[str]
    error: str
    may_have_been_applied: bool


@allow_extra
class ImportSplit(TypedDict):
    """A conversation that is too large for the server and is stored in ``parts``, such as ``A long year (2 of 3)``.

    ``position`` counts from 1; ``place`` is its position in an export, else None; ``label`` is the label of the whole.
    """

    position: int
    place: Optional[str]
    label: str
    parts: int


@allow_extra
class ImportWait(TypedDict):
    """A wait during an import: ``reason`` as in `sekha.WaitEvent`, and its duration in ``seconds``."""

    reason: str
    seconds: float


@allow_extra
class ImportProgress(TypedDict):
    """Import progress; ``seen`` is the sum of the other counts, including those of the report.

    ``waiting`` is present only when a wait of more than a second starts.
    """

    seen: int
    stored: int
    already_stored: int
    empty: int
    failed: int
    waiting: NotRequired[ImportWait]


@allow_extra
class ImportChange(TypedDict):
    """A chat that has changed since an earlier import, or was only partly stored.

    ``place`` is its position in an export, else None; ``label`` is its label now. ``action`` is one of:

    - ``grown``: it has new messages; the new version replaces the earlier one
    - ``continued``: its new messages are stored separately under ``label``, since the server cannot delete
    - ``renamed``: its label or folder has changed; it is still the same conversation
    - ``replaced``: earlier messages have changed; the new version replaces the earlier one
    - ``mended``: it was only partly stored, since an earlier import was interrupted; now it is complete
    - ``restored``: it was deleted on the server and has changed since; it is stored again
    - ``gone``: it was deleted on the server, and only its label has changed; it is not stored again
    """

    place: Optional[str]
    label: str
    action: Literal["grown", "continued", "renamed", "replaced", "mended", "restored", "gone"]


@allow_extra
class ImportReport(ImportProgress):
    """Report of an import; without ``waiting``.

    ``seen`` is the sum of ``stored`` (new), ``already_stored`` (unchanged since an earlier import), ``grown`` (more
    messages), ``renamed`` (another label or folder), ``replaced`` (other messages), ``empty`` and ``failed``.
    ``changes`` lists conversations that are neither new nor unchanged. ``left_out`` counts, by kind, skipped content
    and files that were not read: ``hidden`` and ``tools`` are messages, ``replaced characters`` are invalid characters,
    ``earlier versions`` are chats of which a later version is stored. ``split`` lists conversations that were stored in
    parts; each is counted once.
    """

    grown: int
    renamed: int
    replaced: int
    failures: List[ImportFailure]
    left_out: Dict[str, int]
    split: List[ImportSplit]
    changes: List[ImportChange]


@allow_extra
class SyncChange(TypedDict):
    """A change of a note, done or planned: ``place`` is its file, ``label`` is None if the file is gone.

    ``gone`` means that the file no longer exists and its conversation still does.
    """

    place: str
    label: Optional[str]
    action: Literal["stored", "replaced", "moved", "deleted", "archived", "gone"]


@allow_extra
class SyncReport(ImportProgress):
    """Report of `sync_notes`, or of its dry run.

    ``seen`` is the sum of ``stored`` (new notes), ``replaced`` (the text has changed), ``moved`` (the label, folder or
    file has changed), ``already_stored`` (unchanged), ``empty`` and ``failed``. ``deleted``, ``archived`` and ``gone``
    count notes whose files no longer exist, which are not in ``seen``. ``left_out`` counts files that are not notes, by
    kind.
    """

    replaced: int
    moved: int
    deleted: int
    archived: int
    gone: int
    failures: List[ImportFailure]
    left_out: Dict[str, int]
    split: List[ImportSplit]
    changes: List[SyncChange]
