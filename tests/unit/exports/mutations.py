"""Whether a reader withstands data with values of wrong types."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Collection, Iterator, List, Tuple, Union

from sekha._utils.json_access import as_list, as_object
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._kinds import find_kind
from unit.exports.wrong_types import WRONG, changed, places

Reader = Callable[[Any], Union[ReadConversation, Iterator[ReadConversation]]]
Path = Tuple[Union[str, int], ...]


def mutations(sample: Any) -> Iterator[Tuple[Path, Any, Any]]:
    """Yield where a value was replaced, the value that stands there instead, and the whole then."""
    for path in places(sample, ()):
        for wrong in WRONG:
            yield path, wrong, changed(sample, path, wrong)


def check_mutations(read: Reader, sample: Any, *, optional: Collection[str] = ()) -> None:
    """Check that no wrong value is an exception, nor that messages vanish because of one without being counted.

    Args:
        read: Reads the data: a function as `Kind.parse` or `Kind.parse_file`, with the folder filled in.
        sample: The data, all of which can be read.
        optional: Keys of what may be null or empty without a count, since nothing is in it then.
    """
    good = _read(read, sample)
    assert sum(len(one["messages"]) for one in good), "the sample has messages"
    for path, wrong, data in mutations(sample):
        where = f"{path} = {wrong!r}"
        for one in as_list(data) or [data]:
            find_kind(one)
        try:
            found = _read(read, data)
        except Unreadable:
            continue
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}") from error
        json.dumps(found).encode("utf-8")
        for one in found:
            for message in one["messages"]:
                assert message["content"], where
                assert message["role"] in ("user", "assistant", "system", "tool"), where
        lost = _messages(good) - _messages(found)
        if lost > 0 and not _is_empty(path, wrong, sample, optional):
            assert _left_out(found) - _left_out(good), f"{where}: {lost} fewer, {[one.left_out for one in found]}"


def _read(read: Reader, data: Any) -> List[ReadConversation]:
    found = read(data)
    return [found] if isinstance(found, ReadConversation) else list(found)


def _messages(found: List[ReadConversation]) -> int:
    return sum(len(one["messages"]) for one in found)


def _left_out(found: List[ReadConversation]) -> Counter[str]:
    return sum((Counter(one.left_out) for one in found), Counter[str]())


def _is_empty(path: Path, wrong: Any, sample: Any, optional: Collection[str]) -> bool:
    """Whether nothing was lost since there is nothing any more: an empty list where a list was."""
    before = sample
    for key in path:
        before = before[key]
    if wrong in (None, "", [], {}) and path[-1] in optional:
        return True
    return (wrong == [] and as_list(before) is not None) or (wrong == {} and as_object(before) is not None)
