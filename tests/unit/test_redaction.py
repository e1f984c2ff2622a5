"""A key is shown nowhere, not even when a server echoes it (S1)."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from types import FrameType
from typing import Iterator, List
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api.error_response import error_from_response
from sekha._utils.redaction import Secret, redact, redact_traceback
from sekha.errors import (
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaServerError,
    SekhaStreamError,
    SekhaValidationError,
)
from support.canary import frames_of, texts_of
from unit.vectors import CANARY


def innermost_frame(error: BaseException) -> FrameType:
    """The frame that raised an error."""
    frame = error.__traceback__
    assert frame is not None
    while frame.tb_next is not None:
        frame = frame.tb_next
    return frame.tb_frame


@pytest.mark.promise("S1")
def test_only_reveal_gives_the_key() -> None:
    secret = Secret(CANARY, "api_key")
    assert secret.reveal() == CANARY
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([secret])):
        assert CANARY not in text
        assert "api_key" in text
    assert not hasattr(secret, "__dict__"), "vars() and debuggers find nothing"


@pytest.mark.promise("S1")
def test_a_key_is_taken_out_of_everything_that_an_error_says() -> None:
    secrets = [Secret(CANARY, "api_key")]
    errors = [
        SekhaServerError(f"no {CANARY}!", body=f"<{CANARY}>", code=f"E-{CANARY}", status_code=500),
        SekhaDecodeError(f"odd {CANARY}", body=CANARY * 2),
        SekhaStreamError(f"cut {CANARY}", text=f"so far {CANARY}"),
        SekhaValidationError(f"bad {CANARY}", body=None, field=f"x.{CANARY}"),
    ]
    for error in errors:
        assert redact(error, secrets) is error
        shown = [str(error), repr(error), repr(vars(error)), repr(error.args), repr(copy.copy(error))]
        shown.append("".join(traceback.format_exception(type(error), error, None)))
        assert all(CANARY not in text for text in shown)
        assert CANARY.encode() not in pickle.dumps(error)
    assert "no ***!" in str(errors[0])


@pytest.mark.promise("S1")
@given(st.permutations(["key", "key-two", "a-key-two-three"]))
def test_of_keys_that_contain_each_other_no_part_stays(keys: List[str]) -> None:
    error = SekhaServerError("got key, key-two, a-key-two-three", status_code=500)
    assert redact(error, [Secret(key, "api_key") for key in keys]).message == "got ***, ***, ***"


@pytest.mark.promise("S1")
def test_an_error_without_a_key_in_it_stays_as_it_is() -> None:
    error = redact(SekhaServerError("down", body="down", status_code=503), [Secret(CANARY, "api_key")])
    assert (error.message, error.body, error.status_code) == ("down", "down", 503)


# ---- options of a view ------------------------------------------------------------------------------------------


@pytest.mark.promise("S1")
def test_a_key_that_a_server_echoes_in_json_is_taken_out_too() -> None:
    key = 'sk-"quoted"\\é'
    error = error_from_response("GET", "/x", 401, {}, json.dumps({"oops": key}).encode())
    assert "quoted" in str(error.body)
    redact(error, [Secret(key, "api_key")])
    assert "quoted" not in str(error.body) + str(error)


@pytest.mark.promise("S1")
@pytest.mark.parametrize("key", ['sk-"quoted"\\canary', "sk-canary é", "sk-canary'/?&=%", "sk-canary-" + "x" * 300])
def test_neither_an_escaped_nor_a_cut_key_stays_nor_one_in_a_cause(key: str) -> None:
    forms = [
        key,
        json.dumps(key),
        json.dumps(key, ensure_ascii=False),
        repr(key.encode("latin-1")),
        quote(key, safe=""),
    ]
    for form in forms:
        for body in (form, "x" * 1995 + form, "x" * 9_990 + form, "<" + "y" * 111 + form):
            error = error_from_response("GET", "/x", 401, {}, body.encode())
            error.__cause__ = httpx.RemoteProtocolError(f"it said {form}")
            error.__cause__.__cause__ = httpx.RemoteProtocolError(ValueError(form))  # type: ignore[arg-type]
            redact(error, [Secret(key, "api_key")])
            shown = [*texts_of(error), repr(error.__cause__), repr(error.__cause__.__cause__)]
            assert not any(form[:12] in text for text in shown), body


@pytest.mark.promise("S1")
def test_of_a_call_that_failed_no_arguments_and_no_frames_stay_but_the_callers_own_error_does() -> None:
    @redact_traceback
    def connect(*, key: str) -> None:
        try:
            raise OSError(f"no file for {len(key)}")
        except OSError as error:
            raise SekhaConfigError("it cannot be") from error

    try:
        raise KeyError("the caller's")
    except KeyError as callers:
        with pytest.raises(SekhaConfigError) as caught:
            connect(key=CANARY)
        with pytest.raises(TypeError):
            connect(wrong=CANARY)  # type: ignore[call-arg]
        frames = callers.__traceback__
    assert frames is not None
    assert isinstance(caught.value.__cause__, OSError)
    assert "no file for" in frames_of(caught.value)
    assert CANARY not in frames_of(caught.value)
    assert connect.__name__ == "connect"


@pytest.mark.promise("S1")
def test_what_the_caller_was_handling_stays_as_it_is() -> None:
    handled, context, cause, error = (
        ZeroDivisionError("mine"),
        KeyError(CANARY),
        TimeoutError(),
        SekhaServerError("down"),
    )

    def fail(one: BaseException) -> None:
        raise one

    for one in (handled, context, cause, error):
        with pytest.raises(type(one)):
            fail(one)
    error.__cause__, cause.__context__, context.__context__ = cause, context, handled
    redact(error, [Secret(CANARY, "api_key")], handled)
    assert innermost_frame(handled).f_locals == {"one": handled}
    for one in (error, cause, context):
        assert innermost_frame(one).f_code.co_name == "fail", "file and line are there"
        assert innermost_frame(one).f_locals == {}, "values are not"
    assert context.args == ("'***'",)
    assert context.__context__ is handled


def shown_with_locals(error: BaseException) -> str:
    """A traceback as an error tracker shows it, with the frames of this test."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


@pytest.mark.promise("S1")
def test_a_cause_that_another_task_waits_with_is_left_alone_and_shows_no_key() -> None:
    """httpcore raises one exception in all streams of an HTTP/2 connection, so that tasks share it."""
    shared, error = httpx.ReadError("the connection broke"), SekhaConnectionError("it broke")

    def other_task(key: str) -> Iterator[None]:
        try:
            raise shared
        finally:
            yield  # waits in its clean-up

    def call(key: str) -> None:
        raise shared

    task = other_task(CANARY)
    next(task)
    with pytest.raises(httpx.ReadError):
        call(CANARY)
    error.__cause__ = shared
    del call, other_task
    redact(error, [])
    assert "in call" in shown_with_locals(error)
    assert CANARY not in shown_with_locals(error)
    with pytest.raises(httpx.ReadError):  # it goes on where it was
        next(task)


@pytest.mark.promise("S1")
@pytest.mark.parametrize("suppress", [False, True])
def test_no_key_stays_in_a_context_that_is_not_shown(suppress: bool) -> None:
    error = SekhaServerError("down")
    error.__context__, error.__suppress_context__ = KeyError(CANARY), suppress
    assert redact(error, [Secret(CANARY, "api_key")]).__context__ is None
