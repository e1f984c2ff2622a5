"""Tables: which columns fit, what is cut, and where lines are wrapped."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sekha.cli.tables import Column, Shrink, echo_table, fit_columns, short_id

ID = "7ac44cec-1111-4222-8333-444455556666"
LISTED = (
    Column("ID", Shrink.NO),
    Column("LABEL"),
    Column("FOLDER"),
    Column("IMPORTANCE", Shrink.NO, optional=True),
    Column("CHANGED", Shrink.NO),
)


def test_an_id_is_short_unless_it_is_asked_for() -> None:
    assert short_id(ID, full=False) == "7ac44cec"
    assert short_id(ID, full=True) == ID


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (10_000, {0: 8, 1: 40, 2: 20, 3: 10, 4: 16}),
        (102, {0: 8, 1: 40, 2: 20, 3: 10, 4: 16}),
        (92, {0: 8, 1: 30, 2: 20, 3: 10, 4: 16}),
        (72, {0: 8, 1: 15, 2: 15, 3: 10, 4: 16}),
        (60, {0: 8, 1: 15, 2: 15, 4: 16}),
        (40, {0: 8, 1: 5, 2: 5, 4: 16}),
        (5, {0: 8, 1: 1, 2: 1, 4: 16}),
    ],
)
def test_the_widest_columns_get_narrower_first(available: int, expected: dict[int, int]) -> None:
    assert fit_columns(LISTED, (8, 40, 20, 10, 16), available) == expected


def test_the_last_optional_column_goes_first() -> None:
    columns = [Column("A", Shrink.NO), Column("B", Shrink.NO, optional=True), Column("C", Shrink.NO, optional=True)]
    assert set(fit_columns(columns, (10, 10, 10), 34)) == {0, 1, 2}
    assert set(fit_columns(columns, (10, 10, 10), 33)) == {0, 1}
    assert set(fit_columns(columns, (10, 10, 10), 21)) == {0}


@given(
    st.lists(st.tuples(st.sampled_from(Shrink), st.booleans(), st.integers(0, 300)), min_size=1, max_size=7),
    st.integers(1, 400),
)
def test_no_column_is_wider_than_it_has_to_be(specs: list[tuple[Shrink, bool, int]], available: int) -> None:
    columns = [Column("x", shrink, optional) for shrink, optional, _ in specs]
    natural = [size for _, _, size in specs]
    widths = fit_columns(columns, natural, available)
    assert all(number in widths for number, column in enumerate(columns) if not column.optional)
    assert all(width <= natural[number] for number, width in widths.items())
    assert all(width == natural[number] for number, width in widths.items() if columns[number].shrink is Shrink.NO)
    used = sum(widths.values()) + 2 * (len(widths) - 1)
    least = all(width <= 1 or columns[number].shrink is Shrink.NO for number, width in widths.items())
    assert used <= available or least
    if used <= available and len(widths) == len(columns):
        assert sum(natural) + 2 * (len(natural) - 1) <= available or used > available - len(widths)


@pytest.mark.parametrize("columns", [60, 80, 120, 30])
def test_a_table_is_as_wide_as_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    label = "東京 and a rather long label with several words"
    echo_table(LISTED, [(ID[:8], label, "/work/deep/down/below", "5", "2026-01-31 09:30")] * 2)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2, "no cell is wrapped"
    assert all(cell_len(line) <= max(columns, 42) for line in (heading, *lines))
    assert all(line.startswith(f"{ID[:8]}  ") and line.endswith("2026-01-31 09:30") for line in lines)
    assert ("\N{HORIZONTAL ELLIPSIS}" in lines[0]) == (columns < 120)
    assert heading.split()[:1] == ["ID"]
    assert heading.split()[-1] == "CHANGED"


def test_words_are_wrapped_and_not_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    text = "Two-week sprints and the beta ships at the end\nof the third one."
    echo_table((Column("SCORE", Shrink.NO), Column("FOUND", Shrink.WRAP)), [("0.27", text)])
    _, *lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 30 for line in lines)
    assert " ".join(" ".join(lines).split()) == f"0.27 {' '.join(text.split())}"


def test_without_a_terminal_nothing_is_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    echo_table(("FIRST", "SECOND"), [("x" * 300, "y" * 500)])
    assert capsys.readouterr().out.splitlines()[1] == f"{'x' * 300}  {'y' * 500}"
    for value in ("", "0", "wide"):
        monkeypatch.setitem(os.environ, "COLUMNS", value)
        echo_table(("FIRST",), [("x" * 300,)])
        assert "x" * 300 in capsys.readouterr().out
