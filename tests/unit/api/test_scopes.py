"""A scope is one folder for each application and user, whatever their ids are."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha import SekhaValidationError
from sekha.memory import Scope
from sekha.types import MessageRole
from sekha.types._base import normalize_stored_folder

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("app", "user", "folder"),
    [
        ("shop", "ann@example.com", "/shop/ann@example.com"),
        ("shop", "../bob", "/shop/..%2Fbob"),
        ("shop", "..", "/shop/%2E%2E"),
        ("a/b", "c", "/a%2Fb/c"),
        ("a", "b/c", "/a/b%2Fc"),
        ("a", "b%2Fc", "/a/b%252Fc"),
        (" ", " ann", "/%20/%20ann"),
        ("shop", "日本 🙂", "/shop/日本 🙂"),
        ("shop", "a\0\n", "/shop/a%00%0A"),
        ("shop", "x" * 5000, "/shop/" + "x" * 5000),
        (MessageRole.USER, MessageRole.TOOL, "/user/tool"),
    ],
)
def test_each_part_is_one_name_of_the_folder(app: str, user: str, folder: str) -> None:
    assert Scope(app, user).folder == Scope(app, user, "s1").folder == folder


@given(ids, ids, ids, ids)
def test_two_users_never_share_a_folder(app: str, user: str, other_app: str, other_user: str) -> None:
    one, other = Scope(app, user).folder, Scope(other_app, other_user).folder
    assert (one == other) == ((app, user) == (other_app, other_user))
    assert one.count("/") == 2
    assert not one.startswith(other + "/")
    assert normalize_stored_folder(one) == one


@pytest.mark.parametrize(
    ("arguments", "field", "problem"),
    [
        (("", "ann"), "app", "must not be empty"),
        (("shop", ""), "user", "must not be empty"),
        ((None, "ann"), "app", "must be a string, not None"),
        (("shop", 42), "user", "must be a string, not int"),
        (("shop", "a\ud800"), "user", "contains a lone surrogate"),
        (("shop", "ann", ""), "session", "must not be blank"),
        (("shop", "ann", " \n"), "session", "must not be blank"),
        (("shop", "ann", 5), "session", "must be a string, not int"),
        (("shop", "ann", "a\0"), "session", "must not contain a NUL character"),
        (("shop", "ann", "\udfff"), "session", "contains a lone surrogate"),
    ],
)
def test_what_is_no_scope_is_refused_by_name(arguments: Any, field: str, problem: str) -> None:
    with pytest.raises(SekhaValidationError, match=f"{field}: {problem}") as caught:
        Scope(*arguments)
    assert (caught.value.field, caught.value.sent) == (field, False)


def test_a_scope_is_a_value() -> None:
    scope = Scope("shop", "ann", session="s1")
    assert scope == Scope("shop", "ann", "s1") != Scope("shop", "ann")
    assert len({scope, Scope("shop", "ann", "s1")}) == 1
    assert pickle.loads(pickle.dumps(scope)) == scope
    assert repr(scope) == "Scope(app='shop', user='ann', session='s1')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        scope.user = "bob"  # type: ignore[misc]  # what this is about
    with pytest.raises(SekhaValidationError):
        dataclasses.replace(scope, user="")
