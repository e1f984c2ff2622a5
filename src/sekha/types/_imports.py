"""What an import tells."""

from typing import Dict, List, NamedTuple, Optional

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import allow_extra


class UnreadableConversation(NamedTuple):
    """A conversation of an export that cannot be read.

    Attributes:
        place: Where it stands: file and number or line, with its title where it has one.
        problem: What is wrong with it.
    """

    place: str
    problem: str


@allow_extra
class ImportFailure(TypedDict):
    """A conversation that was not imported.

    ``position`` counts from 1; ``place`` says where it stands in an export, else None. ``may_have_been_applied`` is
    True where it may be in the memory all the same: the next run with the same journal looks.
    """

    position: int
    place: Optional[str]
    label: Optional[str]
    error: str
    may_have_been_applied: bool


@allow_extra
class ImportSplit(TypedDict):
    """A conversation that was too large for the server, and is stored in ``parts``, such as ``A long year (2 of 3)``.

    ``position`` counts from 1; ``place`` says where it stands in an export, else None; ``label`` is that of the whole.
    """

    position: int
    place: Optional[str]
    label: str
    parts: int


@allow_extra
class ImportWait(TypedDict):
    """What an import waits for: ``reason`` as in `sekha.WaitEvent`, and for how many ``seconds``."""

    reason: str
    seconds: float


@allow_extra
class ImportProgress(TypedDict):
    """How far an import is: ``seen`` is the sum of all other numbers, those of the report among them.

    ``waiting`` is there when a wait of more than a second begins, and at no other time.
    """

    seen: int
    stored: int
    already_stored: int
    empty: int
    failed: int
    waiting: NotRequired[ImportWait]


@allow_extra
class ImportChange(TypedDict):
    """What became of a chat that is not as it was at an earlier import, or was not whole in the memory.

    ``place`` says where it stands in an export, else None; ``label`` is that under which it is stored now. ``action``:

    - ``grown``: it is stored with its new messages, in place of its earlier version
    - ``continued``: its new messages are stored as ``label``, beside the earlier ones, since the server cannot delete
    - ``renamed``: its label or folder has changed, and it stays the same conversation
    - ``replaced``: earlier messages have changed; it is stored in place of its earlier version
    - ``mended``: only a part was in the memory, since storing it was interrupted; now all of it is
    - ``restored``: it was deleted in the memory and has changed since, and is stored again
    - ``gone``: it was deleted in the memory and has another label now; it does not come back
    """

    place: Optional[str]
    label: str
    action: Literal["grown", "continued", "renamed", "replaced", "mended", "restored", "gone"]


@allow_extra
class ImportReport(ImportProgress):
    """What an import did, and what it could not do. There is no ``waiting`` in it.

    ``seen`` is the sum of ``stored`` (new), ``already_stored`` (unchanged since an earlier import), ``grown`` (more
    messages), ``renamed`` (another label or folder), ``replaced`` (other messages), ``empty`` and ``failed``.
    ``changes`` lists what is neither new nor unchanged. ``left_out`` counts, by kind, what was left out of the
    conversations that were seen, and files that were not read: ``hidden`` and ``tools`` are messages, ``replaced
    characters`` characters that were broken, ``earlier versions`` chats of which a later version is stored. ``split``
    lists those that were stored in parts; each is counted once.
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
    """What became, or would become, of a note: ``place`` is its file, ``label`` is None where the file is gone.

    ``gone`` means that the file is not there any more and its conversation still is.
    """

    place: str
    label: Optional[str]
    action: Literal["stored", "replaced", "moved", "deleted", "archived", "gone"]


@allow_extra
class SyncReport(ImportProgress):
    """What `sync_notes` did, or would do.

    ``seen`` is the sum of ``stored`` (new notes), ``replaced`` (their text has changed), ``moved`` (their label,
    folder or file has), ``already_stored`` (nothing has), ``empty`` and ``failed``. Notes whose files are gone are not
    among them: ``deleted``, ``archived`` and ``gone``. ``left_out`` counts files that are no notes, by kind.
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
