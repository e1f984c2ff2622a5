"""Arguments that were not given."""

from __future__ import annotations

from sekha._utils.sentinel import NOT_GIVEN, drop_unset


def test_given_leaves_out_what_was_not_given_and_keeps_falsehoods() -> None:
    assert drop_unset(a=NOT_GIVEN, b=None, c=0, d=False, e="", f=[]) == {"c": 0, "d": False, "e": "", "f": []}


def test_none_is_a_value_of_arguments_that_are_not_named() -> None:
    assert drop_unset({"a"}, a=None, b=None, c=NOT_GIVEN, none_is_missing=1) == {"b": None, "none_is_missing": 1}
