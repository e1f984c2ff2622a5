"""examples/fastapi_chat, as its README starts it, read with httpx and in Chromium."""

from __future__ import annotations

import importlib
import json
import select
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, List, Tuple
from urllib.parse import quote

import anyio
import httpx
import pytest

from sekha import (
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from sekha.testing import Clock, Exchange, Fault, ScriptedSekha, answer_with, cut_in_answer
from support.running import Program, command_of, environment
from support.running import running as started

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "fastapi_chat"
COMMAND = command_of(FOLDER / "README.md", "uvicorn")
QUESTION = {"question": "Which database did we choose for billing?"}
FACT = "We chose PostgreSQL as the database for billing."
ANSWER = f"I can only quote what I was given: “{FACT}” “So it is.”"
CHAT = "POST /v1/chat/completions"
CONTEXT = "POST /api/v1/context/assemble"
PATIENCE = 30.0

sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "tools")]
app: Any = importlib.import_module("fastapi_chat.app")
screenshots: Any = importlib.import_module("screenshots")
del sys.path[:2]


def settings(sekha: ScriptedSekha) -> dict[str, str]:
    options = {f"SEKHA_{name.upper()}": str(value) for name, value in sekha.options.items()}
    return environment(**options, SEKHA_MAX_RETRIES="0", PYTHONWARNINGS="always::ResourceWarning")


def address(server: Program) -> str:
    return server.says(r"http://127\.0\.0\.1:\d+")[0]


@pytest.fixture(scope="module")
def running() -> Iterator[Tuple[ScriptedSekha, Program]]:
    with ScriptedSekha(clock=Clock()) as sekha:
        with started(f"{COMMAND} --port 0", ROOT, settings(sekha)) as server:
            yield sekha, server
            assert server.stop() in (0, -signal.SIGTERM), server.output
        assert "ResourceWarning" not in server.output
        assert "Traceback" not in server.output


@pytest.fixture
def sekha(running: Tuple[ScriptedSekha, Program]) -> Iterator[ScriptedSekha]:
    """Remembers one conversation."""
    sekha, _ = running
    sekha.sekha.forget()
    with sekha.client() as client:
        messages = [{"role": "user", "content": FACT}, {"role": "assistant", "content": "So it is."}]
        client.controller.create_conversation(label="Billing <b>database</b>", folder="/work", messages=messages)
    sekha.requests.clear()
    yield sekha
    sekha.check()


@pytest.fixture
def url(running: Tuple[ScriptedSekha, Program]) -> str:
    return address(running[1])


@pytest.fixture
def web(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=PATIENCE, verify=False) as web:
        yield web


def events(lines: Iterable[str]) -> Iterator[Tuple[str, Any]]:
    """The name and the data of each event, as they come."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def told(web: httpx.Client) -> List[Tuple[str, Any]]:
    """All events of an answer that is read to its end."""
    with web.stream("POST", "/api/stream", json=QUESTION) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(events(answer.iter_lines()))


class Slow:
    """A bridge that says a few words of an answer and then a word now and then, or none, until its reader leaves."""

    def __init__(self, words: int, pause: float | None) -> None:
        self.words = words
        self.pause = pause
        self.asked = threading.Event()
        self.left = threading.Event()
        self.fault = Fault("slow()", self.play)

    def play(self, exchange: Exchange) -> bool:
        answer = exchange.ask()
        role, *words = b"".join(answer.pieces()).split(b"\n\n")[: self.words + 1]
        if words:
            exchange.send(answer.head)
        for event in (role, *words) if words else ():
            exchange.send(answer.framed(event + b"\n\n"))
        self.asked.set()
        while not select.select([exchange.connection], [], [], self.pause)[0]:
            exchange.send(answer.framed(words[-1] + b"\n\n"))
        with suppress(ConnectionResetError):  # words were still on their way to the reader
            assert exchange.connection.recv(1) == b""
        self.left.set()
        return False


silent = pytest.param(3, None, id="a model that falls silent")
talking = pytest.param(3, 0.05, id="a model that goes on talking")
thinking = pytest.param(0, None, id="a model that has not said anything yet")


def test_answers_in_json(sekha: ScriptedSekha, web: httpx.Client) -> None:
    answer = web.post("/api/ask", json=QUESTION)
    assert answer.status_code == 200
    assert answer.json() == {"answer": ANSWER, "model": "local-extractive"}
    assert [request.line for request in sekha.requests] == [CONTEXT, CHAT]


def test_streams_the_memories_then_the_answer_piece_by_piece(sekha: ScriptedSekha, web: httpx.Client) -> None:
    (first, memories), *tokens, last = told(web)
    assert first == "memories"
    assert {"label": "Billing <b>database</b>", "folder": "/work", "role": "user", "text": FACT} in memories
    assert len(tokens) > 5
    assert {name for name, _ in tokens} == {"token"}
    assert "".join(text for _, text in tokens) == ANSWER
    assert last == ("done", None)


def test_the_first_pieces_come_before_the_last(sekha: ScriptedSekha, web: httpx.Client) -> None:
    slow = Slow(3, None)
    sekha.fail(CHAT, slow.fault, server="bridge")
    with web.stream("POST", "/api/stream", json=QUESTION) as answer:
        found = events(answer.iter_lines())
        assert [next(found)[0] for _ in range(4)] == ["memories", "token", "token", "token"]
        assert not slow.left.is_set()


@pytest.mark.parametrize("path", ["/api/ask", "/api/stream"])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (answer_with(401, {"error": "Unauthorized at 10.0.0.7", "code": 401}), 502),
        (answer_with(429, {"error": "slow down at 10.0.0.7", "code": 429}, {"retry-after": "0.2"}), 429),
        (answer_with(500, {"error": "broken at 10.0.0.7", "code": 500}), 502),
    ],
    ids=["401", "429", "500"],
)
def test_errors_of_sekha_are_http_answers(
    sekha: ScriptedSekha, web: httpx.Client, path: str, fault: Fault, status: int
) -> None:
    sekha.fail(CONTEXT, fault)
    answer = web.post(path, json=QUESTION)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("1" if status == 429 else None)
    assert "10.0.0.7" not in answer.text
    assert web.post("/api/ask", json=QUESTION).status_code == 200


@pytest.mark.parametrize("path", ["/api/ask", "/api/stream"])
def test_a_sekha_that_is_gone_is_503(sekha: ScriptedSekha, web: httpx.Client, path: str) -> None:
    with sekha.refusing():
        answer = web.post(path, json=QUESTION)
    assert (answer.status_code, answer.json()) == (503, {"detail": "Sekha cannot be reached."})


@pytest.mark.parametrize("question", ["", "  ", "x" * 4001, None])
def test_what_is_no_question_is_not_asked(sekha: ScriptedSekha, web: httpx.Client, question: object) -> None:
    assert web.post("/api/stream", json={"question": question}).status_code == 422
    assert sekha.requests == []


def test_an_answer_that_breaks_off_ends_in_an_error(sekha: ScriptedSekha, web: httpx.Client) -> None:
    sekha.fail(CHAT, cut_in_answer(at=1000), server="bridge")
    found = told(web)
    names = [name for name, _ in found]
    assert names[:2] == ["memories", "token"]
    assert found[-1] == ("error", "The answer broke off.")
    assert "done" not in names


def test_a_bridge_that_is_gone_ends_the_stream_in_an_error(sekha: ScriptedSekha, web: httpx.Client) -> None:
    with sekha.refusing("bridge"):
        names, data = zip(*told(web))
    assert names == ("memories", "error")
    assert data[-1] == "Sekha cannot be reached."


@pytest.mark.parametrize(("words", "pause"), [silent, talking, thinking])
def test_a_reader_that_leaves_ends_the_upstream_stream(
    sekha: ScriptedSekha, web: httpx.Client, words: int, pause: float | None
) -> None:
    slow = Slow(words, pause)
    sekha.fail(CHAT, slow.fault, server="bridge")
    with web.stream("POST", "/api/stream", json=QUESTION) as answer:
        found = events(answer.iter_lines())
        assert [next(found)[0] for _ in range(words + 1)] == ["memories", *["token"] * words]
        assert slow.asked.wait(PATIENCE)
        assert not slow.left.is_set()
    assert slow.left.wait(PATIENCE)
    assert sekha.requests[-1].fault == "slow()"
    assert told(web)[-1] == ("done", None)


def test_an_open_stream_does_not_keep_the_server_from_ending() -> None:
    with ScriptedSekha(clock=Clock()) as sekha, httpx.Client(timeout=PATIENCE, verify=False) as web:
        slow = Slow(3, None)
        sekha.fail(CHAT, slow.fault, server="bridge")
        with started(f"{COMMAND} --port 0 --timeout-graceful-shutdown 1", ROOT, settings(sekha)) as server:
            with web.stream("POST", f"{address(server)}/api/stream", json=QUESTION) as answer:
                found = events(answer.iter_lines())
                assert next(found)[0] == "memories"
                assert slow.asked.wait(PATIENCE)
                server.stop(signal.SIGINT)
            assert slow.left.wait(PATIENCE)
        assert "ResourceWarning" not in server.output


async def test_a_generator_that_stands_at_a_yield_is_closed_too() -> None:
    """The browser goes away while a piece is being sent."""
    sending, closed = anyio.Event(), []

    async def pieces() -> AsyncGenerator[str, None]:
        try:
            yield "piece"
        finally:
            closed.append(True)

    async def receive() -> dict[str, str]:
        await sending.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            sending.set()
            await anyio.sleep_forever()

    generator = pieces()
    await app.EventStream(generator)({"type": "http"}, receive, send)
    assert closed == [True]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SekhaValidationError("no"), 422),
        (SekhaRateLimitError("no"), 429),
        (SekhaServerError("no"), 502),
        (SekhaDecodeError("no"), 502),
        (SekhaConfigError("no"), 502),
        (SekhaStreamError("no"), 502),
        (SekhaConnectionError("no"), 503),
        (SekhaTimeoutError("no"), 504),
    ],
)
def test_each_error_has_its_status(error: SekhaError, status: int) -> None:
    assert app.problem(error)[0] == status


# In the browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    if screenshots.find_chromium() is None:
        pytest.skip("no Chromium is installed")
    with screenshots.Chromium(tmp_path) as browser:
        yield browser


def asking(url: str) -> str:
    """The address of the page that asks the question by itself."""
    return f"{url}/?q={quote(QUESTION['question'])}"


def text(place: str) -> str:
    """What stands in an element of the page, in JavaScript."""
    return f"document.getElementById('{place}')?.textContent"


@pytest.mark.slow
def test_the_page_shows_the_answer_beside_the_memories(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    browser.open(url)
    browser.wait_for(f"{text('status')} === 'Nothing asked yet.'")
    browser.value(f"document.getElementById('input').value = {json.dumps(QUESTION['question'])}")
    browser.value("document.querySelector('button[type=submit]').click()")
    browser.wait_for(f"{text('status')} === 'Answered with 2 memories.'")
    assert browser.value(text("question")) == QUESTION["question"]
    assert browser.value(text("answer")) == ANSWER
    assert browser.value(text("problem")) == ""
    memories = browser.value("[...document.querySelectorAll('#memories li > *')].map(each => each.textContent)")
    assert memories[:2] == ["Billing <b>database</b> · /work · user", FACT], "a label is text, not HTML"
    browser.wait_for("performance.getEntriesByType('resource').length > 0")  # noted a moment after the last byte
    loaded = browser.value("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded == [f"{url}/api/stream"], "nothing comes from elsewhere"


@pytest.mark.slow
def test_the_page_shows_words_as_they_come_and_can_stop_the_answer(
    sekha: ScriptedSekha, url: str, browser: Any
) -> None:
    slow = Slow(3, None)
    sekha.fail(CHAT, slow.fault, server="bridge")
    browser.open(asking(url))
    browser.wait_for(f"{text('answer')} === 'I can only'")
    assert browser.value(text("status")) == "Answering…"
    assert FACT in browser.value(text("memories"))
    assert not slow.left.is_set()
    browser.value("document.getElementById('stop').click()")
    assert slow.left.wait(PATIENCE)
    browser.wait_for(f"{text('status')} === 'Stopped.'")
    assert browser.value(text("answer")) == "I can only"
    assert browser.value(text("problem")) == ""


@pytest.mark.slow
def test_the_page_keeps_what_had_arrived_and_says_what_went_wrong(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    sekha.fail(CHAT, cut_in_answer(at=1000), server="bridge")
    browser.open(asking(url))
    browser.wait_for(f"{text('status')} === 'Not answered.'")
    assert browser.value(text("problem")) == "The answer broke off."
    assert browser.value(text("answer")).startswith("I can")

    with sekha.refusing():
        browser.open(asking(url))
        browser.wait_for(f"{text('problem')} === 'Sekha cannot be reached.'")
    assert browser.value(text("answer")) == ""


@pytest.mark.slow
def test_a_browser_that_is_closed_ends_the_upstream_stream(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    slow = Slow(3, None)
    sekha.fail(CHAT, slow.fault, server="bridge")
    browser.open(asking(url))
    browser.wait_for(f"{text('answer')} === 'I can only'")
    assert not slow.left.is_set()
    browser.close()
    assert slow.left.wait(PATIENCE)
    assert sekha.requests[-1].fault == "slow()"
