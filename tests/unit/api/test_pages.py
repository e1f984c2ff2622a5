"""Pages of a list end, whatever a server returns."""

from __future__ import annotations

from typing import Any, List

import pytest

from sekha._api.pages import MAX_STALE_PAGES, PageState


def page(ids: List[int], total: int, size: int = 2) -> Any:
    return {"results": [{"conversation_id": str(id)} for id in ids], "total": total, "page": 1, "page_size": size}


def ids_of(rows: Any) -> List[int]:
    return [int(row["conversation_id"]) for row in rows]


@pytest.mark.promise("C12")
@pytest.mark.parametrize(
    ("pages", "returned"),
    [
        ([page([1, 2], 3), page([3], 3)], [[1, 2], [3]]),
        ([page([1, 2], 2)], [[1, 2]]),
        ([page([], 0)], [[]]),
        ([page([1], 99)], [[1]]),
        ([page([1, 2], 4), page([1, 2], 4)], [[1, 2], []]),
        ([page([1, 2], 3), page([2, 1], 4), page([3, 4], 4)], [[1, 2], [], [3, 4]]),
        ([page([1, 2], 9), *(page([1, 2], 9 + n) for n in range(1, MAX_STALE_PAGES + 1))], [[1, 2], [], [], []]),
        ([page([1, 1], 2), page([2], 2)], [[1], [2]]),
        ([page([1], 3, size=1), page([2], 3, size=1), page([3], 3, size=1)], [[1], [2], [3]]),
    ],
    ids=["two", "full", "empty", "wrong total", "repeated", "moved", "growing", "twice", "smaller than requested"],
)
def test_a_list_ends_with_its_last_page(pages: List[Any], returned: List[List[int]]) -> None:
    state = PageState(2, None)
    found: List[List[int]] = []
    for number, one in enumerate(pages, start=1):
        assert not state.is_last
        assert state.next_query() == {"page": number, "page_size": 2}
        found.append(ids_of(state.add(one)))
    assert state.is_last
    assert found == returned


def test_only_wanted_conversations_are_returned() -> None:
    state = PageState(2, lambda row: row["conversation_id"] != "2")
    assert ids_of(state.add(page([1, 2], 3))) == [1]
    assert ids_of(state.add(page([2, 3], 3))) == [3]
    assert state.is_last
