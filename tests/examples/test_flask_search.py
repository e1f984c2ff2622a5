"""`examples/flask_search`, started with the command in its README, and its answers to what goes wrong."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with, cut_after_work, cut_before_work, hold
from support.facts import REST_KEY
from support.running import PATIENCE, command_of, environment, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_search"
SERVE = command_of(EXAMPLE / "README.md", "gunicorn ")
STORE = "POST /api/v1/conversations"
QUERY = "POST /api/v1/query"
EXPORT = "POST /mcp/tools/memory_export"
UNKNOWN = "/conversations/11111111-2222-4333-8444-555555555555/messages"
SHIPPING = {"label": "Shipping", "messages": [{"role": "user", "content": "We ship on Fridays."}]}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn forks")
def test_it_stores_and_finds_and_reads(sekha: LocalSekha) -> None:
    variables = environment(
        SEKHA_CONTROLLER_URL=sekha.controller_url,
        SEKHA_API_KEY=REST_KEY,
        GUNICORN_CMD_ARGS="--bind 127.0.0.1:0",
    )
    with running(SERVE, EXAMPLE, variables) as program:
        url = program.says(r"Listening at: (http://\S+)")[1]
        with httpx.Client(base_url=url, timeout=PATIENCE, verify=False, trust_env=False) as api:
            stored = api.post("/conversations", json=SHIPPING)
            assert (stored.status_code, stored.json()["label"]) == (201, "Shipping")
            (hit,) = api.get("/search", params={"q": "When do we ship?"}).json()["results"]
            assert hit["content"] == "We ship on Fridays."
            messages = api.get(f"/conversations/{hit['conversation_id']}/messages").json()["messages"]
            assert [message["content"] for message in messages] == ["We ship on Fridays."]
            assert api.get(UNKNOWN).status_code == 404
        assert program.stop() == 0
    for trouble in ("Traceback", "[ERROR]", "CANARY"):
        assert trouble not in program.output, program.output


@pytest.fixture
def local_sekha_options() -> Dict[str, Any]:
    return {"api_key": REST_KEY}


def create_app(monkeypatch: pytest.MonkeyPatch, client: Optional[SekhaClient] = None) -> Flask:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    made = importlib.import_module("flask_search").create_app(client)
    assert isinstance(made, Flask)
    return made


def test_its_own_client_is_closed_when_the_process_ends(sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: List[Callable[[], None]] = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", sekha.controller_url)
    monkeypatch.setenv("SEKHA_API_KEY", REST_KEY)
    api = create_app(monkeypatch).test_client()
    assert api.get("/search?q=x").status_code == 200
    for close in at_exit:
        close()
    is_problem(api.get("/search?q=x"), 502, "The memory failed")


@pytest.fixture
def api(sekha_client: SekhaClient, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    return create_app(monkeypatch, sekha_client).test_client()


def is_problem(answer: TestResponse, status: int, detail: str, unsure: bool = False) -> None:
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    body = answer.get_json()
    assert detail in body["detail"]
    assert (body["status"], body["may_have_been_applied"]) == (status, unsure)
    assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/search", None, "query: must not be blank"),
        ("/search?q=%00", None, "query: must not contain a NUL character"),
        ("/conversations/7/messages", None, "conversation_id: must be the UUID of a conversation"),
        ("/conversations", {"messages": [{"role": "user"}]}, "messages[0].content: is required"),
        ("/conversations", {**SHIPPING, "lable": "x"}, "lable: is not a known argument"),
        ("/conversations", ["no", "dictionary"], "conversation: must be a dictionary"),
        ("/conversations", "{ no JSON", "messages: is required"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_sent(
    api: FlaskClient, local_sekha: ScriptedSekha, path: str, body: Any, detail: str
) -> None:
    raw = isinstance(body, str)
    post: Dict[str, Any] = {"data": body, "content_type": "application/json"} if raw else {"json": body}
    is_problem(api.get(path) if body is None else api.post(path, **post), 400, detail)
    assert local_sekha.requests == []


def test_an_unknown_conversation_is_not_found(api: FlaskClient) -> None:
    is_problem(api.get(UNKNOWN), 404, "There is no such conversation.")


def test_a_key_that_sekha_does_not_know_is_our_fault(
    api: FlaskClient, local_sekha: ScriptedSekha, caplog: pytest.LogCaptureFixture
) -> None:
    local_sekha.fail(QUERY, answer_with(401, {"error": f"{REST_KEY} is no key"}))
    is_problem(api.get("/search?q=x"), 502, "the reason is in the log")
    assert "status 401" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_server_that_fails_is_a_bad_gateway(api: FlaskClient, local_sekha: ScriptedSekha) -> None:
    local_sekha.fail(EXPORT, answer_with(500, {"error": "disk full on db-7"}), times=4)
    answer = api.get(UNKNOWN)
    is_problem(answer, 502, "The memory failed")
    assert "db-7" not in answer.text


def test_a_limit_says_when_to_come_again(api: FlaskClient, local_sekha: ScriptedSekha) -> None:
    local_sekha.fail(STORE, answer_with(429, {"error": "too many"}, {"retry-after": "90.5"}))
    answer = api.post("/conversations", json=SHIPPING)
    is_problem(answer, 503, "cannot be reached")
    assert answer.headers["retry-after"] == "91"


def test_a_sekha_that_is_away_can_be_asked_again_later(api: FlaskClient, local_sekha: ScriptedSekha) -> None:
    with local_sekha.refusing():
        for answer in (api.get("/search?q=x"), api.post("/conversations", json=SHIPPING)):
            is_problem(answer, 503, "cannot be reached")
            assert answer.headers["retry-after"] == "5"
            assert "127.0.0.1" not in answer.text
    assert api.get("/search?q=x").status_code == 200


@pytest.mark.parametrize("fault", [cut_before_work(), cut_after_work(), answer_with(500, {"error": "no"})], ids=repr)
def test_a_write_without_an_answer_may_have_been_applied(
    api: FlaskClient, local_sekha: ScriptedSekha, fault: Any
) -> None:
    local_sekha.fail(STORE, fault)
    answer = api.post("/conversations", json=SHIPPING)
    is_problem(answer, 502 if "answer_with" in fault.name else 503, "The memory", unsure=True)
    assert "retry-after" not in answer.headers
    assert [request.line for request in local_sekha.requests] == [STORE]  # nobody has repeated it


class TestImpatient:
    """A client that does not wait for long."""

    @pytest.fixture
    def sekha_client_options(self) -> Dict[str, Any]:
        return {"timeout": 0.2, "max_retries": 0}

    def test_a_timeout(self, api: FlaskClient, local_sekha: ScriptedSekha) -> None:
        local_sekha.fail(QUERY, hold())
        answer = api.get("/search?q=x")
        is_problem(answer, 503, "cannot be reached")
        assert answer.headers["retry-after"] == "5"
        local_sekha.fail(STORE, hold())
        answer = api.post("/conversations", json=SHIPPING)
        is_problem(answer, 503, "cannot be reached", unsure=True)
        assert "retry-after" not in answer.headers
