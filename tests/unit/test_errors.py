"""Every error: the tree, its pickles and copies, its text (E1, E2)."""

from __future__ import annotations

import copy
import inspect
import pickle
from multiprocessing import get_context
from typing import Any, Dict, List, Type

import pytest

from sekha import errors
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConflictError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
    SekhaWarning,
)

PATH = "/api/v1/conversations/{id}"


def classes() -> List[Type[SekhaError]]:
    found = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, SekhaError)]
    return sorted(found, key=lambda cls: cls.__name__)


# ---- the tree ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "parents"),
    [
        (SekhaConfigError, [SekhaError]),
        (SekhaClosedError, [SekhaError]),
        (SekhaDecodeError, [SekhaError]),
        (SekhaAPIError, [SekhaError]),
        (SekhaValidationError, [SekhaAPIError, ValueError]),
        (SekhaAuthError, [SekhaAPIError]),
        (SekhaPermissionError, [SekhaAPIError]),
        (SekhaNotFoundError, [SekhaAPIError]),
        (SekhaConflictError, [SekhaAPIError]),
        (SekhaRateLimitError, [SekhaAPIError]),
        (SekhaServerError, [SekhaAPIError]),
        (SekhaConnectionError, [SekhaError]),
        (SekhaTimeoutError, [SekhaConnectionError]),
        (SekhaStreamError, [SekhaConnectionError]),
    ],
)
def test_each_error_stands_where_the_tree_is_drawn(cls: Type[SekhaError], parents: List[type]) -> None:
    assert list(cls.__bases__) == parents
    assert cls.__name__ in (errors.__doc__ or "")


def test_the_tree_has_no_other_errors() -> None:
    assert len(classes()) == 15
    assert not issubclass(SekhaConfigError, SekhaAPIError)
    assert issubclass(SekhaWarning, UserWarning)
    assert not issubclass(SekhaWarning, SekhaError)


# ---- errors survive (E1) -----------------------------------------------------------------------------------------


def full(cls: Type[SekhaError]) -> SekhaError:
    """An error with something in every field."""
    details: Dict[str, Any] = {"method": "POST", "path": PATH, "attempts": 2, "elapsed": 1.5, "sent": True}
    details["may_have_been_applied"] = True
    if issubclass(cls, SekhaAPIError):
        details.update(status_code=418, code="E7", body="{}", retry_after=7.5)
    if issubclass(cls, SekhaDecodeError):
        details.update(status_code=201, body="<html>")
    if issubclass(cls, SekhaStreamError):
        details["text"] = "so far"
    if issubclass(cls, SekhaValidationError):
        details["field"] = "messages[1].content"
    error = cls("what went wrong", **details)
    if isinstance(error, SekhaNotFoundError):
        error.archived = ["a", "b"]
    error.conversation = {
        "id": "x",
        "conversation_id": "x",
        "label": "x",
        "folder": "/",
        "status": "active",
        "message_count": 1,
        "created_at": None,
    }
    error._retryable = False
    return error


@pytest.mark.promise("E1")
@pytest.mark.parametrize("cls", classes())
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickle_with_all_their_fields(cls: Type[SekhaError], protocol: int) -> None:
    error = full(cls)
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert type(twin) is cls
    assert vars(twin) == vars(error)
    assert (str(twin), repr(twin), twin.args) == (str(error), repr(error), error.args)


@pytest.mark.promise("E1")
@pytest.mark.parametrize("cls", classes())
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_errors_survive_copies_with_all_their_fields(cls: Type[SekhaError], duplicate: Any) -> None:
    error = full(cls)
    twin = duplicate(error)
    assert twin is not error
    assert type(twin) is cls
    assert vars(twin) == vars(error)


def _fail(name: str) -> None:
    raise full(getattr(errors, name))


@pytest.mark.promise("E1")
def test_errors_come_out_of_another_process_with_all_their_fields() -> None:
    with get_context("spawn").Pool(1) as pool:  # that of concurrent.futures cannot spawn on some releases of PyPy
        for cls in classes():
            with pytest.raises(cls) as raised:
                pool.apply_async(_fail, [cls.__name__]).get(timeout=30)
            assert type(raised.value) is cls
            assert vars(raised.value) == vars(full(cls))


@pytest.mark.parametrize("cls", classes())
def test_an_error_can_be_made_of_a_message_alone(cls: Type[SekhaError]) -> None:
    error = cls("oops")
    assert error.message == "oops"
    assert str(error).startswith("oops")
    assert (error.attempts, error.elapsed, error.method, error.path) == (0, None, None, None)
    assert error.may_have_been_applied is False
    assert error.conversation is None


# ---- errors tell (E2) --------------------------------------------------------------------------------------------


@pytest.mark.promise("E2")
def test_the_text_of_an_error_is_one_line_with_all_that_helps() -> None:
    error = SekhaServerError(
        "Database\n  error:  locked", status_code=500, method="PUT", path=PATH, attempts=3, elapsed=2.25
    )
    error.may_have_been_applied = True
    call = "PUT /api/v1/conversations/{id}, 3 attempts in 2.25 s"
    assert str(error) == f"Database error: locked (status 500, {call}, it may have been applied)"


@pytest.mark.promise("E2")
def test_one_attempt_is_no_attempts() -> None:
    assert str(SekhaError("x", method="GET", path="/health", attempts=1, elapsed=0.25)) == (
        "x (GET /health, 1 attempt in 0.25 s)"
    )
