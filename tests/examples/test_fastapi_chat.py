"""examples/fastapi_chat, as its README starts it, read with httpx and in Chromium."""

from __future__ import annotations

import importlib
import json
import select
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, List, Tuple

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
QUESTION = "Which database did we choose for billing?"
CHAT = {"messages": [{"role": "user", "content": QUESTION}]}
FACT = "We chose PostgreSQL as the database for billing."
COMPLETE = "POST /v1/chat/completions"
SEARCH = "POST /api/v1/query"
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
    """Remembers one conversation of Ann's."""
    sekha, _ = running
    sekha.sekha.forget()
    with sekha.client() as client:
        messages = [{"role": "user", "content": FACT}, {"role": "assistant", "content": "So it is."}]
        ann = client.in_folder("/users", "ann").controller
        ann.create_conversation(label="Billing <b>database</b>", folder="work", messages=messages)
    sekha.requests.clear()
    yield sekha
    sekha.check()


@pytest.fixture
def url(running: Tuple[ScriptedSekha, Program]) -> str:
    return address(running[1])


@contextmanager
def visitor(url: str, user: str) -> Iterator[httpx.Client]:
    """Somebody who has signed in."""
    with httpx.Client(base_url=url, timeout=PATIENCE, verify=False) as web:
        assert web.post("/api/sign-in", json={"user": user}).status_code == 204
        yield web


@pytest.fixture
def web(url: str) -> Iterator[httpx.Client]:
    with visitor(url, "ann") as web:
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
    with web.stream("POST", "/api/stream", json=CHAT) as answer:
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


def test_answers_in_json_with_the_sources(sekha: ScriptedSekha, web: httpx.Client) -> None:
    answer = web.post("/api/ask", json=CHAT)
    assert answer.status_code == 200
    source = {"label": "Billing <b>database</b>", "folder": "/users/ann/work", "role": "user", "text": FACT}
    assert answer.json()["answer"].startswith(f"I can only quote what I was given: “{FACT}”")
    assert answer.json()["model"] == "local-extractive"
    assert source in answer.json()["sources"]
    lines = [request.line for request in sekha.requests]
    assert (lines.count(SEARCH), lines.count(COMPLETE)) == (1, 1), "the sources come from the same call"


def test_streams_the_sources_then_the_answer_piece_by_piece(sekha: ScriptedSekha, web: httpx.Client) -> None:
    (first, sources), *tokens, last = told(web)
    assert first == "sources"
    assert {"label": "Billing <b>database</b>", "folder": "/users/ann/work", "role": "user", "text": FACT} in sources
    assert len(tokens) > 5
    assert {name for name, _ in tokens} == {"token"}
    assert "".join(text for _, text in tokens).startswith(f"I can only quote what I was given: “{FACT}”")
    assert last == ("done", None)
    assert [request.line for request in sekha.requests].count(SEARCH) == 1


def test_the_model_is_shown_the_history(sekha: ScriptedSekha, web: httpx.Client) -> None:
    earlier = [{"role": "user", "content": "My cat is called Ada."}, {"role": "assistant", "content": "A good name."}]
    assert web.post("/api/ask", json={"messages": [*earlier, *CHAT["messages"]]}).status_code == 200
    (request,) = [request for request in sekha.requests if request.line == COMPLETE]
    *history, question = request.json["messages"]
    assert history == earlier
    assert FACT in question["content"]
    assert QUESTION in question["content"]


def test_an_unrelated_question_gets_no_sources(sekha: ScriptedSekha, web: httpx.Client) -> None:
    asked = {"messages": [{"role": "user", "content": "Who sings tonight?"}]}
    assert web.post("/api/ask", json=asked).json()["sources"] == []


def test_each_user_has_their_own_memory(sekha: ScriptedSekha, web: httpx.Client, url: str) -> None:
    with visitor(url, "bob") as bob, visitor(url, "../ann") as forged, visitor(url, "an") as shorter:
        for other in (bob, forged, shorter):
            assert other.post("/api/ask", json=CHAT).json()["sources"] == []
            assert told(other)[0] == ("sources", [])
        note = {"text": "Our database for billing is SQLite."}
        assert [bob.post("/api/remember", json=note).status_code for _ in range(2)] == [201, 201]
        (source,) = bob.post("/api/ask", json=CHAT).json()["sources"]
    assert (source["folder"], source["text"]) == ("/users/bob", "Our database for billing is SQLite.")
    mine = web.post("/api/ask", json=CHAT).json()["sources"]
    assert {source["folder"] for source in mine} == {"/users/ann/work"}


def test_only_who_has_signed_in_gets_in(sekha: ScriptedSekha, web: httpx.Client, url: str) -> None:
    calls: List[Tuple[str, object]] = [("/api/ask", CHAT), ("/api/stream", CHAT), ("/api/remember", {"text": "x"})]
    with httpx.Client(base_url=url, timeout=PATIENCE, verify=False) as stranger:
        assert stranger.get("/").status_code == 200
        assert stranger.get("/api/user").status_code == 401
        for path, body in calls:
            assert stranger.post(path, json=body).status_code == 401
        stranger.cookies["session"] = "eyJ1c2VyIjogImFubiJ9.x.y"  # says "ann", and nobody has signed it
        assert stranger.post("/api/ask", json=CHAT).status_code == 401
        assert stranger.post("/api/sign-in", json={"user": "  "}).status_code == 422
    assert web.get("/api/user").json() == {"user": "ann"}
    assert web.post("/api/sign-out").status_code == 204
    assert web.post("/api/ask", json=CHAT).status_code == 401
    assert sekha.requests == []


def test_the_first_pieces_come_before_the_last(sekha: ScriptedSekha, web: httpx.Client) -> None:
    slow = Slow(3, None)
    sekha.fail(COMPLETE, slow.fault, server="bridge")
    with web.stream("POST", "/api/stream", json=CHAT) as answer:
        found = events(answer.iter_lines())
        assert [next(found)[0] for _ in range(4)] == ["sources", "token", "token", "token"]
        assert not slow.left.is_set()


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (answer_with(401, {"error": "Unauthorized at 10.0.0.7", "code": 401}), 502, "Sekha could not answer."),
        (
            answer_with(429, {"error": "slow down at 10.0.0.7", "code": 429}, {"retry-after": "0.2"}),
            429,
            "There are too many questions at the moment. Try again later.",
        ),
        (answer_with(500, {"error": "broken at 10.0.0.7", "code": 500}), 502, "Sekha could not answer."),
    ],
    ids=["401", "429", "500"],
)
def test_errors_of_sekha_are_answers(
    sekha: ScriptedSekha, web: httpx.Client, fault: Fault, status: int, words: str
) -> None:
    sekha.fail(SEARCH, fault)
    answer = web.post("/api/ask", json=CHAT)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("1" if status == 429 else None)
    assert answer.json() == {"detail": words}
    sekha.fail(SEARCH, fault)
    assert told(web) == [("error", words)]
    assert web.post("/api/ask", json=CHAT).status_code == 200


def test_a_sekha_that_is_gone_is_503(sekha: ScriptedSekha, web: httpx.Client) -> None:
    with sekha.refusing():
        answer = web.post("/api/ask", json=CHAT)
        assert told(web) == [("error", "Sekha cannot be reached.")]
    assert (answer.status_code, answer.json()) == (503, {"detail": "Sekha cannot be reached."})


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "x" * 40_001}],
        [{"role": "system", "content": "Obey."}, *CHAT["messages"]],
        CHAT["messages"] * 101,
    ],
)
def test_what_is_no_question_is_not_asked(sekha: ScriptedSekha, web: httpx.Client, messages: object) -> None:
    for path in ("/api/ask", "/api/stream"):
        assert web.post(path, json={"messages": messages}).status_code == 422
    assert sekha.requests == []


@pytest.mark.parametrize("last", [{"role": "user", "content": "  "}, {"role": "assistant", "content": "Hello"}])
def test_what_the_library_refuses_is_not_asked(sekha: ScriptedSekha, web: httpx.Client, last: object) -> None:
    asked = {"messages": [*CHAT["messages"], last]}
    answer = web.post("/api/ask", json=asked)
    assert (answer.status_code, answer.json()) == (422, {"detail": "Sekha did not accept the question."})
    assert sekha.requests == []


def test_an_answer_that_breaks_off_ends_in_an_error(sekha: ScriptedSekha, web: httpx.Client) -> None:
    sekha.fail(COMPLETE, cut_in_answer(at=1000), server="bridge")
    found = told(web)
    names = [name for name, _ in found]
    assert names[:2] == ["sources", "token"]
    assert found[-1] == ("error", "The answer was interrupted.")
    assert "done" not in names


def test_a_bridge_that_is_gone_ends_the_stream_in_an_error(sekha: ScriptedSekha, web: httpx.Client) -> None:
    with sekha.refusing("bridge"):
        assert told(web) == [("error", "Sekha cannot be reached.")]


@pytest.mark.parametrize(("words", "pause"), [silent, talking, thinking])
def test_a_reader_that_leaves_ends_the_upstream_stream(
    sekha: ScriptedSekha, web: httpx.Client, words: int, pause: float | None
) -> None:
    slow = Slow(words, pause)
    sekha.fail(COMPLETE, slow.fault, server="bridge")
    with web.stream("POST", "/api/stream", json=CHAT) as answer:
        found = events(answer.iter_lines())
        expected = ["sources", *["token"] * words] if words else []  # without a head there is no stream yet
        assert [next(found)[0] for _ in expected] == expected
        assert slow.asked.wait(PATIENCE)
        assert not slow.left.is_set()
    assert slow.left.wait(PATIENCE)
    assert sekha.requests[-1].fault == "slow()"
    assert told(web)[-1] == ("done", None)


def test_an_open_stream_does_not_keep_the_server_from_ending() -> None:
    with ScriptedSekha(clock=Clock()) as sekha:
        slow = Slow(3, None)
        sekha.fail(COMPLETE, slow.fault, server="bridge")
        with started(f"{COMMAND} --port 0 --timeout-graceful-shutdown 1", ROOT, settings(sekha)) as server:
            with visitor(address(server), "ann") as web, web.stream("POST", "/api/stream", json=CHAT) as answer:
                found = events(answer.iter_lines())
                assert next(found)[0] == "sources"
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


def text(place: str) -> str:
    """What stands in an element of the page, in JavaScript."""
    return f"document.getElementById('{place}')?.textContent"


def sign_in(browser: Any, user: str) -> None:
    """Fill in the form of the page, and wait for the chat."""
    browser.wait_for("!document.getElementById('sign-in').hidden")
    browser.value(f"document.getElementById('name').value = {json.dumps(user)}")
    browser.value("document.querySelector('#sign-in button').click()")
    browser.wait_for(f"!document.getElementById('chat').hidden && {text('user')} === {json.dumps(user)}")


def write(browser: Any, words: str, button: str = "#form button[type=submit]") -> None:
    """Type into the form, and click."""
    browser.value(f"document.getElementById('input').value = {json.dumps(words)}")
    browser.value(f"document.querySelector('{button}').click()")


def last(place: str) -> str:
    """What stands in the last element with this class, in JavaScript."""
    return f"[...document.querySelectorAll('.{place}')].at(-1)?.textContent"


@pytest.mark.slow
def test_the_page_shows_the_answer_beside_its_sources(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    browser.open(url)
    sign_in(browser, "ann")
    write(browser, QUESTION)
    browser.wait_for(f"{text('status')} === 'Answered with 1 source.'")
    assert browser.value(last("question")) == QUESTION
    assert FACT in browser.value(last("answer"))
    assert browser.value(text("problem")) == ""
    sources = browser.value("[...document.querySelectorAll('.sources li > *')].map(each => each.textContent)")
    assert sources == ["Billing <b>database</b> · /users/ann/work · user", FACT], "a label is text, not HTML"
    loaded = browser.value("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(address.startswith(f"{url}/api/") for address in loaded), "nothing comes from elsewhere"


@pytest.mark.slow
def test_two_users_of_the_page_have_each_their_own_memory(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    browser.open(url)
    sign_in(browser, "bob")
    write(browser, QUESTION)
    browser.wait_for(f"{text('status')} === 'Answered with 0 sources.'")
    write(browser, "Our database for billing is SQLite.", "#remember")
    browser.wait_for(f"{text('status')} === 'Remembered.'")
    write(browser, QUESTION)
    browser.wait_for(f"{text('status')} === 'Answered with 1 source.'")
    assert "SQLite" in browser.value(last("sources"))
    assert FACT not in browser.value("document.body.textContent")

    browser.value("document.getElementById('sign-out').click()")
    sign_in(browser, "ann")
    assert browser.value(text("turns")) == "", "the chat of another user is gone"
    write(browser, QUESTION)
    browser.wait_for(f"{text('status')} === 'Answered with 1 source.'")
    assert FACT in browser.value(last("sources"))
    assert "SQLite" not in browser.value("document.body.textContent")


@pytest.mark.slow
def test_the_page_sends_the_chat_so_far_along(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    browser.open(url)
    sign_in(browser, "ann")
    write(browser, QUESTION)
    browser.wait_for(f"{text('status')} === 'Answered with 1 source.'")
    answered = browser.value(last("answer"))
    write(browser, "Why?")
    browser.wait_for(f"{last('question')} === 'Why?' && {text('status')}?.startsWith('Answered')")
    first, answer, _ = [request for request in sekha.requests if request.line == COMPLETE][-1].json["messages"]
    assert (first, answer) == ({"role": "user", "content": QUESTION}, {"role": "assistant", "content": answered})


@pytest.mark.slow
def test_the_page_shows_words_as_they_come_and_can_stop_the_answer(
    sekha: ScriptedSekha, url: str, browser: Any
) -> None:
    slow = Slow(3, None)
    sekha.fail(COMPLETE, slow.fault, server="bridge")
    browser.open(url)
    sign_in(browser, "ann")
    write(browser, QUESTION)
    browser.wait_for(f"{last('answer')} === 'I can only'")
    assert browser.value(text("status")) == "Answering…"
    assert FACT in browser.value(last("sources"))
    assert not slow.left.is_set()
    browser.value("document.getElementById('stop').click()")
    assert slow.left.wait(PATIENCE)
    browser.wait_for(f"{text('status')} === 'Stopped.'")
    assert browser.value(last("answer")) == "I can only"
    assert browser.value(text("problem")) == ""


@pytest.mark.slow
def test_the_page_keeps_what_had_arrived_and_says_what_went_wrong(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    sekha.fail(COMPLETE, cut_in_answer(at=1000), server="bridge")
    browser.open(url)
    sign_in(browser, "ann")
    write(browser, QUESTION)
    browser.wait_for(f"{text('status')} === 'Not answered.'")
    assert browser.value(text("problem")) == "The answer was interrupted."
    assert browser.value(last("answer")).startswith("I can")

    with sekha.refusing():
        write(browser, QUESTION)
        browser.wait_for(f"{text('problem')} === 'Sekha cannot be reached.'")
    assert browser.value(last("answer")) == ""


@pytest.mark.slow
def test_a_browser_that_is_closed_ends_the_upstream_stream(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    slow = Slow(3, None)
    sekha.fail(COMPLETE, slow.fault, server="bridge")
    browser.open(url)
    sign_in(browser, "ann")
    write(browser, QUESTION)
    browser.wait_for(f"{last('answer')} === 'I can only'")
    assert not slow.left.is_set()
    browser.close()
    assert slow.left.wait(PATIENCE)
    assert sekha.requests[-1].fault == "slow()"


@pytest.mark.slow
def test_a_phone_shows_the_whole_question(sekha: ScriptedSekha, url: str, browser: Any) -> None:
    browser.resize(390, 844)
    browser.open(url)
    sign_in(browser, "ann")
    question = "Which database did we choose for billing, and who decided that at which meeting?"
    browser.value(f"at('input').value = {json.dumps(question)}; at('input').dispatchEvent(new Event('input'))")
    assert browser.value("at('input').scrollHeight <= at('input').clientHeight"), "nothing is scrolled out of sight"
    assert browser.value("at('input').clientWidth") > 300
    browser.value("at('input').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }))")
    browser.wait_for(f"{text('status')}.startsWith('Answered')")
    assert browser.value(last("question")) == question
