"""Dates of Google's Takeout, in the languages of accounts."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from sekha.exports._takeout_dates import is_takeout_date, takeout_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apr 12, 2026, 3:34:31 PM EDT", "2026-04-12T19:34:31"),
        ("May 19, 2026, 7:07:02\u202fPM GMT-03:00", "2026-05-19T22:07:02"),
        ("Mar 9, 2026, 1:53:07 PM GMT+08:00", "2026-03-09T05:53:07"),
        ("Mar 9, 2026, 12:53:07 AM UTC", "2026-03-09T00:53:07"),
        ("Mar 9, 2026, 12:53:07 PM XYZ", "2026-03-09T12:53:07"),
        ("18 Sept 2025, 12:02:52 CET", "2025-09-18T11:02:52"),
        ("18.04.2026, 17:38:51 MESZ", "2026-04-18T15:38:51"),
        ("1 M\xe4rz 2025, 09:00:00 MEZ", "2025-03-01T08:00:00"),
        ("1 ao\xfbt 2025, 09:00:00 CEST", "2025-08-01T07:00:00"),
        ("1 juin 2025 \xe0 09:00:00 CEST", "2025-06-01T07:00:00"),
        ("1 juil. 2025, 09:00:00 CEST", "2025-07-01T07:00:00"),
        ("1 ago 2025, 9:00:00 p.\xa0m. GMT-5", "2025-08-02T02:00:00"),
        ("10 de mai. de 2026, 03:46:09 BRT", "2026-05-10T06:46:09"),
        ("4 juli 2026 09:15:00 CEST", "2026-07-04T07:15:00"),
        ("10 mei 2026 03.46.09 WIB", "2026-05-09T20:46:09"),
        ("10.5.2026 klo 3.46.09 EEST", "2026-05-10T00:46:09"),
        ("10 \u043c\u0430\u044f 2026 \u0433., 03:46:09 MSK", "2026-05-10T00:46:09"),
        ("2026\u5e746\u670819\u65e5 12:23:08 CST", "2026-06-19T04:23:08"),
        ("2026. 5. 10. \uc624\uc804 3:46:09 KST", "2026-05-09T18:46:09"),
        ("2026/05/10 \u5348\u5f8c3:46:09 JST", "2026-05-10T06:46:09"),
        ("5/13/2026, 3:46:09 AM UTC", "2026-05-13T03:46:09"),
        ("13/5/2026, 03:46:09 UTC", "2026-05-13T03:46:09"),
        ("10 Foo 2026, 03:46:09 UTC", None),
        ("31 Feb 2026, 03:46:09 UTC", None),
        ("10 May 2026, 33:46:09 UTC", None),
    ],
)
def test_a_date(text: str, expected: str) -> None:
    seconds = takeout_seconds(text)
    found = None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    assert found == expected
    assert is_takeout_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "03:46:09",
        "10 May 2026",
        "10 May 2026, 03:46",
        "It was May 2026, at 03:46:09, when we all met there",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert not is_takeout_date(text)
