"""`sekha chat`: with a pipe, and in a real terminal."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Callable

import pytest

from cli.conftest import Run, connect, settings
from sekha import SekhaClient
from sekha.cli import chat
from sekha.cli.chat import TRUNCATION_NOTE
from sekha.local import LocalSekha
from sekha.testing import Exchange, Fault, ScriptedSekha, answer_with, cut_in_answer

if sys.platform != "win32":
    from cli.terminals import TerminalOf

Remember = Callable[..., str]
ANSWERS = "POST /v1/chat/completions"
STORING = "POST /api/v1/conversations"
on_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")


@pytest.fixture(autouse=True)
def _billing(remember: Remember) -> None:
    remember("Which database for billing?", "PostgreSQL, since 2021.", label="Billing", folder="/home")


def others(client: SekhaClient) -> list[str]:
    """The ids of what was stored beside the memory of billing."""
    return [row["conversation_id"] for row in client.controller.iter_conversations() if row["label"] != "Billing"]


def said(client: SekhaClient) -> list[tuple[str, object]]:
    """The messages of the one conversation that was stored."""
    (id,) = others(client)
    return [(message["role"], message["content"]) for message in client.controller.get_messages(id)]


def test_it_uses_what_every_program_can_use() -> None:
    imported = re.findall(r"^\s*(?:from|import) (sekha[\w.]*)", inspect.getsource(chat), re.MULTILINE)
    assert "sekha" in imported
    assert not [name for name in imported if name.startswith("sekha._")]


# A pipe


def test_what_the_controller_0_1_loses_in_a_crowd_is_remembered(
    run: Run, sekha_0_1: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sekha_0_1.options, monkeypatch)
    with SekhaClient(**sekha_0_1.options) as client:
        for number in range(40):
            text = f"Invoice {number * 37} was paid by bank transfer on the last day of the month."
            client.controller.create_conversation(messages=[{"role": "user", "content": text}])
    for invoice in (74, 740, 1406):
        done = run("chat", "--context-budget", "100", "--no-store", stdin=f"Who paid invoice {invoice}?")
        assert f"Invoice {invoice} was paid" in done.out


def test_a_question_in_a_pipe_is_answered_and_stored(run: Run, client: SekhaClient) -> None:
    done = run("chat", "--label", "Talk", "--folder", "/chats", stdin="Which database\nfor billing?\n")
    assert done.code == 0
    assert "PostgreSQL, since 2021." in done.out
    assert done.err.splitlines()[0] == "From memory: Billing (/home)"
    (id,) = others(client)
    assert done.err.splitlines()[1] == f"Stored as {id}, Talk."
    assert client.controller.get_conversation(id)["folder"] == "/chats"
    assert said(client) == [("user", "Which database\nfor billing?"), ("assistant", done.out[:-1])]


def test_as_json(run: Run, client: SekhaClient) -> None:
    done = run("chat", "--json", stdin="Which database for billing?")
    assert done.code == 0
    assert set(done.json) == {"turns", "conversation"}
    (turn,) = done.json["turns"]
    assert turn["complete"] is True
    assert turn["memories"] == [{"label": "Billing", "folder": "/home"}]
    assert "PostgreSQL, since 2021." in turn["answer"]
    assert others(client) == [done.json["conversation"]["id"]]


def test_nothing_is_stored_that_is_not_to_be_stored(run: Run, client: SekhaClient) -> None:
    done = run("chat", "--no-store", stdin="Which database for billing?")
    assert done.code == 0
    assert "Stored" not in done.err
    assert others(client) == []
    assert run("chat", "--no-store", "--json", stdin="Hello?").json["conversation"] is None


def test_the_system_and_the_model_get_through(run: Run, faulty: ScriptedSekha) -> None:
    run("chat", "--system", "Be short.", "--model", "gpt-4", "--context-budget", "0", stdin="Hello?")
    (request,) = [request for request in faulty.requests if request.line == ANSWERS]
    assert request.json["model"] == "gpt-4"
    assert request.json["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hello?"},
    ]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_cut_answer_is_shown_and_stored_as_such(
    arguments: list[str], run: Run, faulty: ScriptedSekha, client: SekhaClient
) -> None:
    faulty.fail(ANSWERS, cut_in_answer(at=1200))
    done = run("chat", *arguments, stdin="Which database for billing?")
    assert done.code == 5
    assert done.err.splitlines()[-1].startswith('{"error": ' if arguments else "sekha chat: ")
    shown = done.json["turns"][0]["answer"] if arguments else done.out[:-1]
    assert shown
    assert said(client) == [("user", "Which database for billing?"), ("assistant", f"{shown}\n\n{TRUNCATION_NOTE}")]
    if arguments:
        assert done.json["turns"][0]["complete"] is False


def test_a_bridge_that_says_nothing_stores_nothing(run: Run, faulty: ScriptedSekha, client: SekhaClient) -> None:
    with faulty.refusing("bridge"):
        done = run("chat", stdin="Which database for billing?")
    assert (done.code, done.out) == (5, "")
    assert others(client) == []


def test_what_cannot_be_stored_is_kept_in_a_file(
    run: Run, faulty: ScriptedSekha, client: SekhaClient, here: Path
) -> None:
    faulty.fail(STORING, answer_with(500, {"error": "disk full"}))
    done = run("chat", "--folder", "/chats", stdin="Which database for billing?")
    assert done.code == 1
    assert "PostgreSQL" in done.out
    (name,) = os.listdir(here)
    assert f"The chat could not be stored; it was saved to {name} (sekha import {name} stores it).\n" in done.err
    assert "disk full" in done.err
    kept = json.loads((here / name).read_text("utf-8"))
    assert kept["folder"] == "/chats"
    client.controller.create_conversation(kept)
    assert said(client)[1] == ("assistant", done.out[:-1])


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ([], ""),
        ([], " \n"),
        (["--model", " "], "Hello?"),
        (["--label", ""], "Hello?"),
        (["--context-budget", "-1"], "Hello?"),
        (["--label", "\ud800"], "Hello?"),
        (["--system", "\ud800"], "Hello?"),
    ],
)
def test_nothing_is_sent_that_cannot_be_used(words: list[str], stdin: str, run: Run, faulty: ScriptedSekha) -> None:
    done = run("chat", *words, stdin=stdin)
    assert (done.code, done.out) == (2, "")
    assert faulty.requests == []


def test_it_needs_a_bridge(run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEKHA_BRIDGE_URL")
    done = run("chat", stdin="Hello?")
    assert (done.code, done.out) == (1, "")
    assert "pass --bridge-url or set SEKHA_BRIDGE_URL" in done.err


# One question


def test_a_question_as_an_argument_is_answered(run: Run, client: SekhaClient) -> None:
    for terminal in (None, "never read\n"):
        done = run("chat", "Which database", "for billing?", "--json", terminal=terminal)
        assert done.code == 0
        (turn,) = done.json["turns"]
        assert turn["question"] == "Which database for billing?"
        assert "PostgreSQL, since 2021." in turn["answer"]
        assert done.json["conversation"]["folder"] == "/chats"
    done = run("chat", "Which database for billing?", "--no-store")
    assert "PostgreSQL, since 2021." in done.out
    assert len(others(client)) == 2
    assert run("chat", " ").code == 2


def test_former_chats_are_remembered_only_if_they_are_wanted(run: Run, client: SekhaClient) -> None:
    """Or the questions would outrank the one fact."""

    def remembered(*options: str) -> list[str]:
        done = run("chat", "Which database did we take for billing?", "--json", *options)
        return [memory["folder"] for memory in done.json["turns"][0]["memories"]]

    for _ in range(3):
        assert remembered() == ["/home"]
    assert len(others(client)) == 3
    client.controller.create_conversation(
        label="Old chat", folder="/chats/old", messages=[{"role": "user", "content": "Which database for billing now?"}]
    )
    assert remembered("--no-store") == ["/home"]
    assert set(remembered("--no-store", "--with-chats")) > {"/home"}


def test_what_is_below_a_score_is_not_remembered(run: Run, client: SekhaClient) -> None:
    (turn,) = run("chat", "zzzz qqqq?", "--min-score", "0.9", "--json", "--no-store").json["turns"]
    assert turn["memories"] == []
    (turn,) = run("chat", "Is it PostgreSQL since 2021?", "--min-score", "0.3", "--json", "--no-store").json["turns"]
    assert turn["memories"] == [{"label": "Billing", "folder": "/home"}]


# Going on


def test_the_last_chat_goes_on(run: Run, faulty: ScriptedSekha, client: SekhaClient) -> None:
    run("chat", "Which database for billing?", "--label", "Talk")
    run("store", "Elsewhere", "--folder", "/work")
    done = run("chat", "--continue", terminal="And since when?\nexit\n")
    assert done.code == 0
    assert "Continuing after: Which database for billing?" in done.err
    _, second = [request.json["messages"] for request in faulty.requests if request.line == ANSWERS]
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[0] == {"role": "user", "content": "Which database for billing?"}
    assert second[2]["content"].endswith("And since when?")
    (row,) = client.controller.iter_conversations(folder="/chats")
    assert row["label"] == "Talk"
    messages = client.controller.get_messages(row["conversation_id"])
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    done = run("chat", "-c", "And why?", "--label", "Long talk")
    assert done.code == 0
    (row,) = client.controller.iter_conversations(folder="/chats")
    assert row["label"] == "Long talk"
    assert len(client.controller.get_messages(row["conversation_id"])) == 6


def test_a_chat_goes_on_where_nothing_can_be_deleted(
    run: Run, sekha_0_1: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sekha_0_1.options, monkeypatch)
    assert run("chat", "Which database for billing?", "--label", "Talk").code == 0
    done = run("chat", "--continue", "And since when?")
    assert done.code == 0
    assert "archived" in done.err
    with SekhaClient(**sekha_0_1.options) as client:
        (row,) = client.controller.iter_conversations(folder="/chats", archived=False)
        assert row["label"] == "Talk"
        assert len(client.controller.get_messages(row["conversation_id"])) == 4
        assert len([*client.controller.iter_conversations(folder="/chats", archived=True)]) == 1


def test_a_chat_that_goes_on_without_an_answer_stays_as_it_was(run: Run, client: SekhaClient) -> None:
    run("chat", "Which database for billing?")
    before = others(client)
    assert run("chat", "--continue", terminal="/quit\n").code == 0
    assert run("chat", "--continue", "And why?", "--no-store").code == 0
    assert others(client) == before


def test_there_may_be_no_chat_to_go_on_with(run: Run, client: SekhaClient) -> None:
    done = run("chat", "--continue", "And why?")
    assert (done.code, done.out) == (3, "")
    assert "no chat to continue in /chats" in done.err


# Turns


@pytest.mark.parametrize("word", ["exit", "quit", "/exit", "/quit", " EXIT "])
def test_a_word_ends_the_chat_and_stores_it(word: str, run: Run, client: SekhaClient) -> None:
    done = run("chat", terminal=f"Which database for billing?\n{word}\nnever asked\n")
    assert done.code == 0
    assert len(said(client)) == 2
    assert client.controller.get_conversation(others(client)[0])["folder"] == "/chats"


def test_help_does_not_go_to_the_model(run: Run, faulty: ScriptedSekha) -> None:
    done = run("chat", terminal="/help\n/hlep\n/\n")
    assert done.code == 0
    assert done.err.count("/quit, exit     end the chat and store it") == 3
    assert "Unknown command /hlep.\n" in done.err
    assert [request for request in faulty.requests if request.line == ANSWERS] == []


def test_a_chat_without_an_answer_is_not_stored(run: Run, client: SekhaClient) -> None:
    assert run("chat", terminal="/help\n\n").code == 0
    assert others(client) == []


def test_ctrl_c_at_the_prompt_stores_nothing(run: Run, client: SekhaClient, monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(["Which database for billing?"])

    def type_and_interrupt(*, on_stdout: bool) -> str:
        for word in words:
            return word
        raise KeyboardInterrupt

    monkeypatch.setattr("sekha.cli.chat._read_question", type_and_interrupt)
    done = run("chat", terminal="")
    assert done.code == 0
    assert "PostgreSQL" in done.out
    assert done.err.endswith("\nNot stored.\n")
    assert others(client) == []


def test_what_was_said_is_known_in_the_next_turn(run: Run, faulty: ScriptedSekha, client: SekhaClient) -> None:
    done = run("chat", "--label", "Talk", terminal="Which database for billing?\n\nAnd why?\n/quit\n")
    assert done.code == 0
    first, second = [request.json["messages"] for request in faulty.requests if request.line == ANSWERS]
    assert len(first) == 1
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[0]["content"] == "Which database for billing?"
    assert "PostgreSQL" in second[1]["content"]
    assert second[2]["content"].endswith("\n\nAnd why?")
    assert [role for role, _ in said(client)] == ["user", "assistant", "user", "assistant"]


def test_a_talk_goes_on_after_a_failure(run: Run, faulty: ScriptedSekha, client: SekhaClient) -> None:
    faulty.fail(ANSWERS, answer_with(503, {"error": "overloaded"}))
    done = run("chat", "--label", "Talk", terminal="Which database for billing?\nAnd for billing?\n")
    assert done.code == 0
    assert "overloaded" in done.err
    assert [role for role, _ in said(client)] == ["user", "user", "assistant"]
    second = [request.json["messages"] for request in faulty.requests if request.line == ANSWERS][-1]
    assert len(second) == 1


# A real terminal


def half_an_answer(halfway: threading.Event) -> Fault:
    """The first pieces of an answer, and then nothing more."""

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        exchange.send(answer.head)
        sent = b""
        for piece in answer.pieces():
            exchange.send(answer.framed(piece))
            sent += piece
            if sent.count(b"data:") > 4:
                break
        halfway.set()
        exchange.hold(threading.Event())
        return False

    return Fault("half_an_answer()", play)


@on_a_terminal
def test_a_talk_in_a_terminal_with_a_key_that_is_typed(connected: LocalSekha, client: SekhaClient, here: Path) -> None:
    variables = {name: value for name, value in settings(connected.options).items() if name != "SEKHA_API_KEY"}
    with TerminalOf("chat", "--label", "Talk", **variables, SEKHA_API_KEY="") as terminal:
        terminal.wait_for("API key (SEKHA_API_KEY): ")
        terminal.type(f"{connected.api_key}\n")
        terminal.wait_for("Ctrl-D or /quit: end the chat. Ctrl-C: stop the answer.")
        terminal.wait_for("> ")
        terminal.type("Which database for billing?\n")
        terminal.wait_for("From memory: Billing (/home)")
        terminal.wait_for("PostgreSQL, since 2021.")
        terminal.wait_for("\n> ")
        terminal.type("\x04")
        terminal.wait_for("Stored as ")
        assert terminal.ends() == 0
        assert connected.api_key not in terminal.screen
    assert [role for role, _ in said(client)] == ["user", "assistant"]


@on_a_terminal
def test_ctrl_c_ends_an_answer_and_then_the_talk(faulty: ScriptedSekha, client: SekhaClient, here: Path) -> None:
    halfway = threading.Event()
    faulty.fail(ANSWERS, half_an_answer(halfway))
    with TerminalOf("chat", "--label", "Talk", **settings(faulty.options)) as terminal:
        terminal.wait_for("> ")
        terminal.type("Which database for billing?\n")
        terminal.wait_for("From memory: Billing (/home)\n")
        assert halfway.wait(60)
        terminal.wait_for("I can")
        terminal.type("\x03")
        terminal.wait_for("(stopped)\n> ")
        # Python overlooks a signal that comes when the prompt is there, and nobody waits for keys yet.
        terminal.press_until("\x03", "\n")
        terminal.wait_for("Not stored.")
        assert terminal.ends() == 0
    assert others(client) == []


@on_a_terminal
def test_prune_asks_in_a_terminal_and_a_table_has_color(
    connected: LocalSekha, client: SekhaClient, remember: Remember
) -> None:
    old = remember("old", label="Old", importance=1)
    with TerminalOf("prune", "--threshold-days", "0", **settings(connected.options), TERM="xterm") as terminal:
        terminal.wait_for(f"{old[:8]}  Old ")
        terminal.wait_for("Archive this conversation? [y/N] ")
        terminal.type("y\n")
        terminal.wait_for("Archived: 1.")
        assert terminal.ends() == 0
        assert "\033[1mID" in terminal.screen
    assert client.controller.get_conversation(old)["status"] == "archived"
