"""Every error: the tree, its pickles and copies, its text (E1, E2)."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from multiprocessing import get_context
from typing import Any, Dict, List, Type

import pytest

from sekha import errors
from sekha._utils.redaction import redact
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConflictError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaInUseError,
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
        (SekhaInUseError, [SekhaConfigError]),
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
    assert len(classes()) == 16
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
    error.report = {
        "seen": 1,
        "stored": 1,
        "already_stored": 0,
        "empty": 0,
        "failed": 0,
        "failures": [],
        "left_out": {},
        "split": [],
        "grown": 0,
        "renamed": 0,
        "replaced": 0,
        "changes": [],
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


# ---- what is sent as JSON is made again of `args` alone -----------------------------------------------------------


def through_json(error: SekhaError) -> SekhaError:
    """What the JSON backend of Celery makes of an error, on the other side."""
    return type(error)(*json.loads(json.dumps(error.args)))


ONLY_STATUS = {
    SekhaAuthError: 401,
    SekhaPermissionError: 403,
    SekhaNotFoundError: 404,
    SekhaConflictError: 409,
    SekhaRateLimitError: 429,
}


@pytest.mark.promise("E1")
@pytest.mark.parametrize("cls", classes())
def test_an_error_keeps_message_and_status_through_json(cls: Type[SekhaError]) -> None:
    error = full(cls)
    twin = through_json(error)
    assert (type(twin), twin.message, twin.args) == (cls, error.message, error.args)
    assert getattr(twin, "status_code", None) == getattr(error, "status_code", None)
    status = getattr(error, "status_code", None)
    assert str(twin) == ("what went wrong" if status is None else f"what went wrong (status {status})")
    assert repr(twin) == repr(error)
    assert str(through_json(twin)) == str(twin)


@pytest.mark.promise("E1")
@pytest.mark.parametrize("cls", [cls for cls in classes() if issubclass(cls, SekhaAPIError)])
def test_without_a_status_an_error_has_that_of_its_class_or_none(cls: Type[SekhaAPIError]) -> None:
    error = cls("what went wrong")  # made by hand, or by a worker that still has version 0.2
    status = ONLY_STATUS.get(cls)
    assert error.status_code == status
    assert str(error) == ("what went wrong" if status is None else f"what went wrong (status {status})")
    assert error.args == (("what went wrong",) if status is None else ("what went wrong", status))
    assert cls("x", 418).status_code == cls("x", status_code=418).status_code == 418


@pytest.mark.promise("E1")
def test_what_was_learned_later_is_in_the_arguments_too() -> None:
    error = SekhaServerError("Database error", status_code=503)
    error.message = "Database error. Try again"
    twin = through_json(redact(error, []))
    assert (twin.message, str(twin)) == ("Database error. Try again", "Database error. Try again (status 503)")


class OtherArguments(SekhaConnectionError):
    """An error of a user with a constructor of its own."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is gone", sent=True)
        self.args = (host, port)


@pytest.mark.promise("E1")
def test_errors_of_users_keep_their_own_arguments() -> None:
    error = OtherArguments("localhost", 8080)
    for twin in (through_json(error), pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), twin.args, str(twin)) == (OtherArguments, ("localhost", 8080), "localhost:8080 is gone")
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
