"""Times, as applications write them."""

from __future__ import annotations

from typing import List

import pytest

from sekha.exports._times import as_seconds

MAY = 1746090000.0  # 2025-05-01, 9 o'clock UTC


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2025-05-01T09:00:00Z", MAY),
        ("2025-05-01T09:00:00.250000Z", MAY + 0.25),
        ("2025-05-01T09:00:00.123456789+00:00", MAY + 0.123456789),
        ("2025-05-01T17:00:00+08:00", MAY),
        ("2025-05-01T04:30:00-0430", MAY),
        ("2025-05-01 09:00", MAY),
        ("2025-05-01", MAY - 9 * 3600),
        (" 2025-05-01t09:00:00z ", MAY),
        (MAY, MAY),
        (1746090000000, MAY),
        (1746090000000000, MAY),
        (1746090000000000000, MAY),
        ("1746090000000000000", MAY),
        (-1746090000000, -MAY),
        ("1746090000", MAY),
        ("1746090000000", MAY),
        ({"$date": {"$numberLong": "1746090000000"}}, MAY),
        ({"$date": "2025-05-01T09:00:00Z"}, MAY),
        ({"$date": 1746090000000}, MAY),
        ("0001-01-01T00:00:00+14:00", -62135596800.0 - 14 * 3600),
        (0, 0.0),
        (-1.5, -1.5),
    ],
)
def test_a_time(time: object, seconds: float) -> None:
    assert as_seconds(time) == pytest.approx(seconds, abs=1e-6)


NO_TIMES: List[object] = [
    None, True, "", "soon", "2025-13-01", "2025-05-01T25:00:00Z", float("nan"), float("inf"), 10**20, 10**400, [], {},
    {"$date": None}, {"$date": {}}, "9" * 40,
]  # fmt: skip


@pytest.mark.parametrize("time", NO_TIMES)
def test_what_is_no_time(time: object) -> None:
    assert as_seconds(time) is None
