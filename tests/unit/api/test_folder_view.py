"""The view of a folder: which folders are inside, and what arguments become."""

from __future__ import annotations

import string
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha import SekhaConfigError, SekhaValidationError
from sekha._api.endpoints import GET_CONVERSATION
from sekha._api.folder_view import FolderView, unknown_conversation
from sekha.types._base import normalize_folder

pytestmark = pytest.mark.promise("W17")

ANN = FolderView("/users/ann")

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("/%. \t\\\x00\u2028"), min_size=1)


class Place(str, Enum):
    USERS = "/users"


@pytest.mark.parametrize(
    ("folder", "segments", "expected"),
    [
        ("/users", ("ann",), "/users/ann"),
        ("users", ("ann",), "/users/ann"),
        ("/users/ann", (), "/users/ann"),
        ("/a b/ c", (), "/a b/ c"),
        (Place.USERS, ("ann",), "/users/ann"),
        ("/users", ("ann", "chats"), "/users/ann/chats"),
        ("/users", ("ann/../bob",), "/users/ann%2F..%2Fbob"),
        ("/users", (".",), "/users/%2E"),
        ("/users", ("..",), "/users/%2E%2E"),
        ("/users", ("...",), "/users/..."),
        ("/users", ("a%2Fb",), "/users/a%252Fb"),
        ("/users", ("\0",), "/users/%00"),
        ("/users", ("\x1f\x7f\x85",), "/users/%1F%7F%C2%85"),
        ("/users", ("\u2028\u2029",), "/users/%E2%80%A8%E2%80%A9"),
        ("/users", (" ann ",), "/users/%20ann%20"),
        ("/users", (" ",), "/users/%20"),
        ("/users", ("ann lee",), "/users/ann lee"),
        ("/users", ("..\\bob",), "/users/..\\bob"),
        ("/users", ("Jos\u00e9",), "/users/Jos\u00e9"),
        ("/users", ("Jose\u0301",), "/users/Jose\u0301"),
        ("/users", ("\U0001f642",), "/users/\U0001f642"),
    ],
)
def test_a_folder_and_segments_become_a_path(folder: str, segments: tuple[str, ...], expected: str) -> None:
    assert FolderView.parse(folder, segments).folder == expected


NO_FOLDERS = (
    " ,/,//,.,..,/.,/users/,/users//ann,//users,/users/.,/users/..,/../users,/users/ ,/users/ann , /users,/users/ /x"
)


@pytest.mark.parametrize(
    "folder",
    [
        *NO_FOLDERS.split(","),
        "",
        "/users/\t",
        "/users\0",
        "/a\nb",
        "/a\u2028",
        "/\ud800",
        None,
        4,
        b"/users",
        ["/users"],
    ],
)
def test_what_names_no_folder_below_the_root_is_refused(folder: Any) -> None:
    for parent in (None, ANN):
        with pytest.raises(SekhaValidationError) as caught:
            FolderView.parse(folder, ("x",), parent)
        assert (caught.value.field, caught.value.sent, caught.value.status_code) == ("folder", False, 400)


@pytest.mark.parametrize("segment", ["", None, 4, True, b"ann", ("ann",), "a\ud800"])
def test_what_is_no_segment_is_refused(segment: Any) -> None:
    with pytest.raises(SekhaValidationError, match="folder: segment 2") as caught:
        FolderView.parse("/users", ("a", segment))
    assert caught.value.field == "folder"


@given(texts, texts)
def test_every_id_has_a_folder_of_its_own(one: str, other: str) -> None:
    first, second = FolderView.parse("/users", [one]), FolderView.parse("/users", [other])
    assert normalize_folder(first.folder) == first.folder
    assert first.folder.count("/") == 2
    assert first.contains(first.folder)
    assert first.contains(second.folder) == (one == other)
    assert first.contains(FolderView.parse("/users", [one, other]).folder)


@pytest.mark.parametrize("folder", ["chats", "/chats", "/users/ann", "users"])
def test_a_nested_folder_is_below_its_parent(folder: str) -> None:
    view = FolderView.parse(folder, ["2026/01"], ANN)
    assert view.folder == f"/users/ann/{folder.lstrip('/')}/2026%2F01"
    assert ANN.contains(view.folder)


INSIDE = "/users/ann,users/ann,/users/ann/,//users//ann//x, /users/ann ,/users/ann/..x,/users/ann/\\\\,/users/ann/ "
OUTSIDE = (
    "/users/ann2,/users/an,/users,/,, ,/users/Ann,/USERS/ann,/x/users/ann,/users/bob/ann,/users/ann/..,/users/ann/.,"
    "/users/./ann,/users/ann/../bob,/users/bob/../ann,/users/ann/x\0,/users/ann\t,/users/ann/x\x85y,/users/ann/\u2028x,"
    "/users/ann\\x,/users/ann%2Fx,/users/%61nn,/users/a\u0301nn,/users\uff0fann,/users/ann\u200b"
)


@pytest.mark.parametrize(
    ("folder", "inside"), [*((one, True) for one in INSIDE.split(",")), *((one, False) for one in OUTSIDE.split(","))]
)
def test_folders_are_compared_name_by_name(folder: str, inside: bool) -> None:
    assert ANN.contains(folder) is inside


@pytest.mark.parametrize("folder", [None, 4, b"/users/ann", ["/users/ann"], {"folder": "/users/ann"}])
def test_what_is_no_text_is_outside(folder: Any) -> None:
    assert not ANN.contains(folder)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("work", "/users/ann/work"),
        (" work/x/ ", "/users/ann/work/x"),
        ("/users/ann/work//x", "/users/ann/work/x"),
        ("//users/ann/", "/users/ann"),
        ("users/ann", "/users/ann/users/ann"),
        ("..x", "/users/ann/..x"),
        (Place.USERS.value[1:], "/users/ann/users"),
    ],
)
def test_an_argument_becomes_a_folder_inside(folder: str, expected: str) -> None:
    assert ANN.absolute(folder) == expected


@pytest.mark.parametrize(
    ("folder", "problem"),
    [
        ("/users/bob", "must be inside /users/ann"),
        ("/users/ann2", "must be inside /users/ann"),
        ("/", "must be inside /users/ann"),
        (Place.USERS, "must be inside /users/ann"),
        ("/users/ann/../bob", "must not contain . or .."),
        ("../bob", "must not contain . or .."),
        (".", "must not contain . or .."),
        ("a\tb", "must not contain control characters"),
        ("", "must not be blank"),
        (" ", "must not be blank"),
    ],
)
def test_an_argument_outside_is_refused_by_name(folder: str, problem: str) -> None:
    for field, call in (
        ("folder", ANN.absolute),
        ("filters.folder", lambda f: ANN.absolute_folder({"folder": f}, "filters.")),
        ("folder", lambda f: ANN.place({"folder": f})),
    ):
        with pytest.raises(SekhaValidationError, match=problem) as caught:
            call(folder)
        assert (caught.value.field, caught.value.sent) == (field, False)


def test_what_is_no_text_is_left_to_the_schema() -> None:
    assert ANN.absolute(None) is None
    assert ANN.absolute_folder({"folder": 4, "label": "x"}) == {"folder": 4, "label": "x"}


@given(st.text(string.printable + "\u00e9\u2028", max_size=12))
def test_no_argument_leads_outside(folder: str) -> None:
    try:
        found = ANN.absolute(folder)
    except SekhaValidationError:
        return
    assert found == normalize_folder(found)
    assert f"{found}/".startswith("/users/ann/")


def test_what_is_stored_is_inside() -> None:
    messages = [{"role": "user", "content": "x"}]
    assert ANN.complete({"messages": messages})["folder"] == "/users/ann"
    assert ANN.complete({"messages": messages, "folder": "a"})["folder"] == "/users/ann/a"
    with pytest.raises(SekhaValidationError, match="folder: must be a string, not None"):
        ANN.complete({"messages": messages, "folder": None})


def test_health_says_nothing_of_what_is_stored() -> None:
    report: Any = {
        "status": "healthy",
        "conversations": 42,
        "checks": {"database": {"status": "ok", "rows": 42}, "odd": {}},
        "stats": {"folders": ["/users/bob"]},
        "version": "0.2",
        "filters": True,
    }
    assert ANN.health(report) == {
        "status": "healthy",
        "version": "0.2",
        "filters": True,
        "checks": {"database": {"status": "ok"}, "odd": {"status": "None"}},
    }


def test_errors_of_a_view() -> None:
    error = unknown_conversation(GET_CONVERSATION)
    assert str(error) == "Conversation not found (status 404, GET /api/v1/conversations/{id})"
    assert (error.status_code, error.body, error.code, error.sent) == (404, None, None, True)
    refused = ANN.refusal("metrics")
    assert isinstance(refused, SekhaConfigError)
    assert str(refused).startswith("metrics() applies to the whole memory")
    assert not refused.sent
