"""`sekha hook recall` and `sekha hook remember`, as a coding agent runs them: processes, JSON, transcripts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set

import pytest

from cli.conftest import settings
from local.conftest import python, wait_for
from sekha import SekhaClient, SekhaWarning
from sekha.cli import hook_run, main
from sekha.cli.hook_input import MAX_INPUT, BadInput, parse_input, read_input
from sekha.cli.hook_state import LOG
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import ScriptedSekha, answer_with, check_no_feedback_loop, cut_after_work, hold

RUN = ["-c", "import sys; from sekha.cli import main; sys.exit(main())", "hook"]
DAY = "2026-05-01T09:"


class Ended(NamedTuple):
    """How a hook ended."""

    code: int
    out: str
    err: str

    @property
    def context(self) -> str:
        """What the agent is told."""
        found = json.loads(self.out)
        assert list(found) == ["hookSpecificOutput"]
        assert found["hookSpecificOutput"]["hookEventName"] == "UserPromptSubmit"
        return str(found["hookSpecificOutput"]["additionalContext"])


class Agent:
    """A coding agent in a repository, which writes its sessions down and runs hooks."""

    def __init__(self, folder: Path, options: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.work = folder / "shop"
        (self.work / ".git" / "refs").mkdir(parents=True)
        (self.work / ".git" / "objects").mkdir()
        (self.work / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (self.work / "src").mkdir()
        self.state = folder / "state"
        self.variables = {
            **settings(options), "XDG_STATE_HOME": str(self.state), "LOCALAPPDATA": str(self.state),
        }  # fmt: skip

    @property
    def notes(self) -> Path:
        return self.state / "sekha" / "hook"

    @property
    def log(self) -> str:
        return (self.notes / LOG).read_text() if (self.notes / LOG).exists() else ""

    def transcript(self, session: str) -> Path:
        return self.folder / f"{session}.jsonl"

    def input(self, session: str, prompt: str = "") -> Dict[str, str]:
        found = {"session_id": session, "transcript_path": str(self.transcript(session)), "cwd": str(self.work / "src")}
        return {**found, "prompt": prompt} if prompt else found

    def hook(self, *words: str, data: object) -> Ended:
        """Run a hook in this process, which is quicker; without its watch, which would end the tests."""
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        with self._monkeypatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            patch.chdir(self.work)
            patch.setattr(hook_run, "DEADLINE", 3600.0)
            patch.setattr(hook_run, "_ASK_WITHIN", 60.0)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
            code = main(["hook", *words])
        return Ended(code, *self._capsys.readouterr())

    def process(self, *words: str, data: object) -> Ended:
        """Run a hook as agents do."""
        command, environment = python(*RUN, *words)
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        environment = {**environment, **self.variables}
        done = subprocess.run(command, env=environment, input=text, capture_output=True, cwd=self.work)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def recall_in_time(self, data: object) -> Ended:
        """Recall in a process, again where the machine was so busy that its three seconds were over."""
        for _ in range(20):
            done = self.process("recall", data=data)
            if "no response within" not in done.err and "deadline" not in done.err:
                return done
        raise AssertionError("the machine is too busy")

    def recall(self, session: str, prompt: str, *options: str) -> Ended:
        return self.hook("recall", *options, data=self.input(session, prompt))

    def remember(self, session: str, *options: str) -> Ended:
        return self.hook("remember", "--wait", *options, data=self.input(session))

    def says(self, session: str, *texts: str, at: int = 0, more: Sequence[Dict[str, Any]] = ()) -> None:
        """Add messages of user and assistant in turns to a session of Claude Code."""
        lines: List[Dict[str, Any]] = []
        for number, text in enumerate(texts, start=at):
            role = ("user", "assistant")[number % 2]
            lines.append(line(session, number, role, [{"type": "text", "text": text}], str(self.work)))
        with self.transcript(session).open("a") as file:
            file.writelines(f"{json.dumps(one)}\n" for one in [*lines, *more])


def line(session: str, number: int, role: str, content: object, cwd: str = "/x", **more: object) -> Dict[str, Any]:
    """A line of a session of Claude Code."""
    return {
        "type": role, "uuid": f"{session}-{number}", "parentUuid": f"{session}-{number - 1}" if number else None,
        "sessionId": session, "cwd": cwd, "timestamp": f"{DAY}{number // 60:02}:{number % 60:02}.{len(session):03}Z",
        "message": {"role": role, "content": content, **({} if role == "user" else {"id": f"m{number}"})}, **more,
    }  # fmt: skip


@pytest.fixture
def memory(any_sekha: LocalSekha) -> Iterator[SekhaClient]:
    """Looks into what is stored."""
    with SekhaClient(**any_sekha.options) as client:
        yield client


@pytest.fixture
def agent(tmp_path: Path, any_sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Agent:
    return Agent(tmp_path, any_sekha.options, monkeypatch, capsys)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Agent:
    """An agent whose memory cannot be reached."""
    options = {"controller_url": "http://127.0.0.1:9", "api_key": "sk-your-api-key-0123456789"}
    return Agent(tmp_path, options, monkeypatch, capsys)


def stored(client: SekhaClient, folder: str = "/code/shop") -> List[str]:
    """All texts in a folder, sorted."""
    rows = client.in_folder(folder).controller.iter_conversations()
    found = [client.mcp.memory_export(row["conversation_id"])["messages"] for row in rows]
    return sorted(str(message["content"]) for messages in found for message in messages)


# Both together


def test_what_one_session_has_said_the_next_one_recalls(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "Which port does the shop use?", "The shop uses port 9100.")
    assert agent.process("remember", data=agent.input("s1")) == (0, "", "")
    wait_for(lambda: "stored 1 of 1 turns in /code/shop" in agent.log, 30)
    assert agent.log.count("\n") == 1
    assert "session s1" in agent.log
    assert [row["label"] for row in memory.in_folder("/code/shop").controller.iter_conversations()] == ["s1"]
    done = agent.recall_in_time(agent.input("s2", "What is the port of the shop?"))
    assert (done.code, done.err) == (0, "")
    assert done.context.startswith("<memory>\n")
    assert "The shop uses port 9100." in done.context
    assert agent.recall("s1", "What is the port of the shop?") == (0, "", "")  # it is in front of the model
    assert agent.recall("s2", "   ").out == ""


def test_only_the_new_turns_are_stored_and_only_what_was_said(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "one", "two")
    assert agent.remember("s1").err.endswith("stored 1 of 1 turns in /code/shop\n")
    assert agent.remember("s1") == (0, "", "")
    block = "<memory>\nWhat follows was remembered.\n<message>\nsecret of old\n</message>\n</memory>"
    agent.says(
        "s1",
        "three " + block,
        at=2,
        more=[
            line("s1", 3, "assistant", [{"type": "thinking", "thinking": "hm"}]),
            line("s1", 4, "user", [{"type": "tool_result", "tool_use_id": "t", "content": "files of the tool"}]),
            line("s1", 5, "user", "<system-reminder>of the harness</system-reminder>", isMeta=True),
            line("s1", 6, "user", "a summary of all", isCompactSummary=True),
            {**line("s1", 7, "user", ""), "type": "attachment",
             "attachment": {"type": "hook_additional_context", "content": [block]}},
            line("s1", 8, "assistant", [{"type": "text", "text": "four"}]),
        ],
    )  # fmt: skip
    agent.remember("s1")
    assert stored(memory) == ["four", "one", "three", "two"]
    assert memory.controller.count_conversations()["count"] == 2


def test_a_session_of_codex_is_remembered(agent: Agent, memory: SekhaClient) -> None:
    lines = [
        {"type": "session_meta", "payload": {"id": "c1", "cwd": str(agent.work)}},
        {"type": "response_item", "payload": {"type": "message", "role": "developer", "content": [
            {"type": "input_text", "text": "<memory>\nof the hook\n</memory>"}]}},
        {"type": "event_msg", "payload": {"type": "user_message", "message": "Which port?"}},
        {"type": "response_item", "payload": {"type": "function_call_output", "output": "of a tool"}},
        {"type": "event_msg", "payload": {"type": "agent_message", "message": "Port 9100."}},
    ]  # fmt: skip
    text = "".join(json.dumps({"timestamp": f"{DAY}00:0{n}Z", **one}) + "\n" for n, one in enumerate(lines))
    agent.transcript("c1").write_text(text)
    agent.remember("c1")
    assert stored(memory) == ["Port 9100.", "Which port?"]
    assert "Port 9100." in agent.recall("c2", "Which port?").context


def test_nothing_that_was_recalled_is_remembered(agent: Agent, memory: SekhaClient) -> None:
    counts: Dict[str, int] = {}

    def run_turn(session: str, text: str) -> List[Dict[str, Any]]:
        done = agent.recall(session, text)
        block = done.context if done.out else ""
        count = counts.get(session, 0)
        # As agents of different versions write it down: among the words of the user, or beside them.
        agent.says(session, f"{block}\n{text}" if block else text, "I see.", at=count, more=[
            {**line(session, count + 90, "user", block), "type": "attachment",
             "attachment": {"type": "hook_additional_context", "content": [block]}}])  # fmt: skip
        counts[session] = count + 2
        agent.remember(session)
        return [{"role": "user", "content": block}, {"role": "user", "content": text}]

    check_no_feedback_loop(run_turn, memory.in_folder("/code", "shop"))
    assert not any("<memory" in text for text in stored(memory))


def test_it_is_the_memory_of_the_core(agent: Agent, memory: SekhaClient) -> None:
    Memory(memory, Scope("code", "shop", "chat")).remember([{"role": "user", "content": "We ship on Fridays."}])
    assert "We ship on Fridays." in agent.recall("s1", "When do we ship?").context
    agent.says("s1", "It is green now.")
    agent.remember("s1")
    found = Memory(memory, Scope("code", "shop")).recall("What is green?")
    assert "It is green now." in [one["content"] for one in found]


def test_another_folder(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "We ship on Fridays.")
    agent.remember("s1", "--folder", "/work/a b/c")
    assert stored(memory, "/work/a b/c") == ["We ship on Fridays."]
    assert "Fridays" in agent.recall("s2", "When do we ship?", "--folder=/work/a b/c").context
    assert agent.recall("s2", "When do we ship?").out == ""


def test_results_below_a_score_are_left_out(agent: Agent) -> None:
    agent.says("s1", "We ship on Fridays.")
    agent.remember("s1")
    assert agent.recall("s2", "Bananas?", "--min-score", "0.99") == (0, "", "")


def test_files_of_sessions_are_remembered_by_hand(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "one")
    agent.says("session-two", "two")
    done = agent.hook("remember", str(agent.transcript("s1")), str(agent.transcript("session-two")), data=b"")
    assert (done.code, done.err.count("turns in /code/shop")) == (0, 2)
    labels = [row["label"] for row in memory.in_folder("/code/shop").controller.iter_conversations()]
    assert sorted(labels) == ["s1", "session-two"]
    done = agent.hook("remember", "gone.jsonl", str(agent.transcript("s1")), data=b"")
    assert done == (1, "", "sekha hook remember: file not found: gone.jsonl\n")  # somebody looks at the exit code


# Nothing twice, nothing lost


def test_many_hooks_at_once_store_each_turn_once(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", *(f"text {number}" for number in range(8)))
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(agent.process, "remember", "--wait", data=agent.input("s1")) for _ in range(3)]
        assert [one.result().code for one in running] == [0, 0, 0]
    assert stored(memory) == [f"text {number}" for number in range(8)]


def test_a_session_that_goes_on_under_another_id_is_not_stored_again(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "one", "two")
    agent.remember("s1")
    text = agent.transcript("s1").read_text().replace('"sessionId": "s1"', '"sessionId": "s9"')
    agent.transcript("s9").write_text(text)
    agent.says("s9", "three", at=2)
    agent.remember("s9")
    assert stored(memory) == ["one", "three", "two"]


def test_a_message_that_was_not_complete_is_completed(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "question", "Let me look.")
    agent.remember("s1")
    piece = line("s1", 1, "assistant", [{"type": "text", "text": "It is green."}])
    agent.says("s1", at=2, more=[{**piece, "uuid": "s1-1b", "parentUuid": "s1-1"}])  # the same answer, its next piece
    with agent.transcript("s1").open("a") as file:
        file.write(json.dumps(line("s1", 2, "user", "not yet whole"))[:-30])
    done = agent.remember("s1")
    assert "line 4: unexpected end" in done.err
    assert stored(memory) == ["It is green.", "Let me look.", "question"]


def test_the_same_words_in_two_turns_are_stored_twice(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "go on", "done")
    agent.remember("s1")
    agent.says("s1", "go on", "done", at=2)
    agent.remember("s1")
    assert agent.remember("s1").err == ""
    assert stored(memory) == ["done", "done", "go on", "go on"]


def test_a_branch_that_was_left_stays_and_the_new_one_is_added(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "one", "two", "three")
    agent.remember("s1")
    again = {**line("s1", 2, "user", "another three"), "uuid": "new", "timestamp": f"{DAY}30:00Z"}
    agent.says("s1", more=[again])
    agent.remember("s1")
    assert stored(memory) == ["another three", "one", "three", "two"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_a_process_that_is_killed_loses_nothing_and_the_next_one_stores_nothing_twice(
    agent: Agent, any_sekha: LocalSekha, memory: SekhaClient
) -> None:
    agent.says("s1", "one", "two", "three", "four")
    with ScriptedSekha(any_sekha) as scripted:
        scripted.fail("POST /api/v1/conversations", hold())
        command, environment = python(*RUN, "remember", "--wait")
        through = {**environment, **agent.variables, **settings(scripted.options)}
        with subprocess.Popen(command, env=through, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(agent.input("s1")).encode())
            process.stdin.close()
            wait_for(lambda: any(one.line == "POST /api/v1/conversations" for one in scripted.requests), 30)
            process.kill()
        (outbox,) = agent.notes.glob("*/outbox/*.jsonl")
        assert len(outbox.read_text().splitlines()) == 2
        agent.says("s1", "five", at=4)
        agent.variables.update(settings(scripted.options))
        done = agent.remember("s1")
    assert done.code == 0
    assert stored(memory) == ["five", "four", "one", "three", "two"]
    assert not list(agent.notes.glob("*/outbox/*"))
    assert agent.remember("s1").err == ""


@pytest.mark.slow
def test_what_may_have_been_stored_is_looked_up(agent: Agent, any_sekha: LocalSekha, memory: SekhaClient) -> None:
    agent.says("s1", "one", "two")
    with ScriptedSekha(any_sekha) as scripted:
        agent.variables.update(settings(scripted.options))
        scripted.fail("POST /api/v1/conversations", cut_after_work())
        first = agent.remember("s1")
        second = agent.remember("s1")
    assert "sekha hook remember: " in first.err
    assert second.code == 0
    assert stored(memory) == ["one", "two"]


def test_a_memory_that_refuses_gets_it_later(agent: Agent, any_sekha: LocalSekha, memory: SekhaClient) -> None:
    agent.says("s1", "one")
    with ScriptedSekha(any_sekha) as scripted:
        agent.variables.update(settings(scripted.options))
        scripted.fail("GET /health", answer_with(401, {"error": "Unauthorized"}))
        refused = agent.remember("s1")
        agent.says("s2", "two")
        agent.remember("s2")  # it is for the same server, and takes along what is left
    assert (refused.code, refused.err.count("\n")) == (0, 1)
    assert stored(memory) == ["one", "two"]


# The run of the agent goes on


@pytest.mark.parametrize("verb", ["recall", "remember"])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "stdin: empty"),
        (b"\xff\xfe\x00", "stdin: byte 1 is not UTF-8"),
        (b'{"a": 1,\n x', "stdin: not valid JSON at line 2 column 2"),
        (b"[1]", "stdin: must be a JSON object"),
        (b"{}", "stdin: session_id is missing"),
        (b'{"session_id": 7}', "stdin: session_id must be a string"),
        (b'{"session_id": "s1", "cwd": "/x\\u0000"}', "stdin: cwd must not contain a null character"),
        (b'{"session_id": "s1", "transcript_path": "/t", "prompt": "x"}', "stdin: cwd is missing"),
        (b"[" * 100_000, "stdin: "),
    ],
)
def test_bad_input_is_one_line(
    verb: str, data: bytes, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    monkeypatch.setattr(hook_run, "DEADLINE", 3600.0)
    assert main(["hook", verb]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sekha hook {verb}: {problem}")
    assert err.count("\n") == 1
    timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
    assert all(one.finished.is_set() for one in timers), "the watch would end the process later"


def test_huge_input_is_refused_and_half_characters_are_replaced() -> None:
    with pytest.raises(BadInput, match=f"larger than {MAX_INPUT // 2**20} MiB"):
        read_input(io.BytesIO(b" " * (MAX_INPUT + 1)), ())
    assert parse_input(b'\xef\xbb\xbf{"prompt": "\\ud83d!", "more": []}', ["prompt"]).prompt == "\ufffd!"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["recall", "--colour"], "--colour: unknown option"),
        (["recall", "--folder"], "--folder: requires a value"),
        (["recall", "--min-score", "x"], "--min-score: must be a number from 0 to 1"),
        (["recall", "file"], "file: unknown option"),
        (["remember", "--min-score=1"], "--min-score: unknown option"),
    ],
)
def test_wrong_options_do_not_stop_the_agent(
    words: List[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hook", *words]) == 0
    assert problem in capsys.readouterr().err


def test_a_slash_at_the_end_of_the_folder_is_named(alone: Agent) -> None:
    done = alone.hook("recall", "--folder", "/x/", data=alone.input("s1", "hello"))
    assert done.code == 0
    assert done.err.startswith("sekha hook recall: --folder: '/x/' ends with /: use /x for that folder, or add")


def test_a_warning_is_one_line(alone: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    def recall(*_: object) -> None:
        warnings.warn("there may be more", SekhaWarning, stacklevel=2)

    monkeypatch.setattr(hook_run, "recall", recall)
    assert alone.recall("s1", "hello") == (0, "", "sekha hook recall: there may be more\n")


def test_the_memory_is_down(alone: Agent) -> None:
    alone.says("s1", "one")
    done = alone.recall("s1", "When do we ship?")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert done.err.startswith("sekha hook recall: ")
    assert json.loads(done.out) == {"systemMessage": done.err.strip()}  # the agent shows it to the user
    assert alone.hook("remember", data=alone.input("s1")) == (0, "", "")
    wait_for(lambda: "sekha hook remember: " in alone.log, 60)
    assert len(list(alone.notes.glob("*/outbox/*.jsonl"))) == 1


@pytest.mark.parametrize("verb", ["recall", "remember"])
def test_the_key_is_missing(verb: str, alone: Agent) -> None:
    del alone.variables["SEKHA_API_KEY"]
    (alone.work / ".env").write_text("SEKHA_API_KEY=sk-of-the-repository-0123\n")  # nobody trusts it
    alone.says("s1", "one")
    done = alone.hook(verb, data=alone.input("s1", "hello"))
    assert done.code == 0
    assert "set SEKHA_API_KEY in the environment, or pass --env-file FILE" in done.err
    (alone.folder / "my.env").write_text("SEKHA_API_KEY=sk-of-the-user-0123456789\n")
    done = alone.hook(verb, "--env-file", str(alone.folder / "my.env"), data=alone.input("s1", "hello"))
    assert "set SEKHA_API_KEY" not in done.err
    done = alone.hook(verb, "--env-file", "gone.env", data=alone.input("s1", "hello"))
    assert "env_file: there is no file gone.env" in done.err


def test_a_memory_that_does_not_answer_is_waited_for_three_seconds_at_most(agent: Agent, any_sekha: LocalSekha) -> None:
    with ScriptedSekha(any_sekha) as scripted:
        scripted.fail("POST /api/v1/query", hold())
        agent.variables.update(settings(scripted.options), SEKHA_TIMEOUT="60")
        done = agent.process("recall", data=agent.input("s1", "When do we ship?"))
        assert done.code == 0
        assert "deadline" in done.err or "no response within 3 seconds" in done.err
        assert json.loads(done.out) == {"systemMessage": done.err.strip()}


def test_whatever_waits_the_process_ends() -> None:
    """Not even a stdin that nobody closes, or the name of a host that nobody resolves, holds the agent up."""
    command, environment = python(*RUN, "recall")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.wait(60) == 0
        line = "sekha hook recall: no response within 3 seconds; nothing was recalled"
        assert process.stderr.read() == f"{line}\n"
        assert json.loads(process.stdout.read()) == {"systemMessage": line}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "transcript_path: file not found"),
        ("", None),
        ("\x00\x01\n\x02", "not a session of Claude Code or Codex"),
        ('{"messages": [{"role": "user", "content": "hi"}]}\n', "not a session of Claude Code or Codex"),
        ('{"type": "file-history-snapshot", "messageId": "x"}\n', None),
    ],
)
def test_transcripts_that_cannot_be_used(text: Optional[str], problem: Optional[str], alone: Agent) -> None:
    if text is not None:
        alone.transcript("s1").write_text(text)
    done = alone.remember("s1")
    assert (done.code, done.out) == (0, "")
    assert problem in done.err if problem else done.err == ""
    assert done.err.count("\n") == (problem is not None)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to a group of processes on Windows")
def test_it_stores_although_the_agent_ends(agent: Agent, memory: SekhaClient) -> None:
    agent.says("s1", "one")
    command, environment = python(*RUN, "remember")
    with subprocess.Popen(
        command, env={**environment, **agent.variables}, stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(agent.input("s1")).encode())
        process.stdin.close()
        assert process.wait(60) == 0
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # as a terminal does that is closed
    wait_for(lambda: "1 of 1 turns" in agent.log, 30)
    assert stored(memory) == ["one"]


def test_the_log_does_not_grow_for_ever(alone: Agent) -> None:
    alone.notes.mkdir(parents=True)
    (alone.notes / LOG).write_text("old\n" * 300_000)
    alone.says("s1", "one")
    alone.hook("remember", data=alone.input("s1"))
    wait_for(lambda: "sekha hook remember" in alone.log, 60)
    assert "old" not in alone.log
    assert (alone.notes / "hook.log.1").read_text().startswith("old\n")


def test_notes_are_for_their_owner_only_and_have_no_text(agent: Agent) -> None:
    agent.says("s1", "a secret of the user")
    agent.remember("s1")
    if sys.platform != "win32":
        assert (agent.notes.stat().st_mode & 0o077) == 0
    assert not any("secret" in path.read_text() for path in agent.notes.glob("**/*") if path.is_file())


def test_what_the_server_does_not_store_is_tried_thrice(
    agent: Agent, memory: SekhaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says("s1", "x" * 2_500_000, "two", "three")
    lines = [agent.remember("s1").err for _ in range(4)]
    assert ["retries it" in text for text in lines] == [True, True, False, False]
    assert "skipped after the last attempt" in lines[2]
    assert lines[3] == ""
    assert stored(memory) == ["three"]


# What is loaded


def loaded_by(agent: Agent, *words: str, data: object) -> Set[str]:
    show = "print('\\n'.join({*sys.modules} - before), file=sys.stderr)"
    patient = "from sekha.cli import hook_run; hook_run.DEADLINE = hook_run._ASK_WITHIN = 3600.0"
    code = f"import sys; before = {{*sys.modules}}; {patient}; from sekha.cli import main; main(sys.argv[1:]); {show}"
    command, environment = python("-c", code, *words)
    done = subprocess.run(
        command, env={**environment, **agent.variables}, input=json.dumps(data), capture_output=True, text=True
    )
    return set(done.stderr.splitlines())


NOT_NEEDED = ("typer", "click", "rich", "httpx", "httpcore", "tenacity", "pydantic", "dotenv", "asyncio")


def test_a_recall_loads_little(agent: Agent) -> None:
    agent.says("s1", "We ship on Fridays.")
    agent.remember("s1")
    loaded = loaded_by(agent, "hook", "recall", data=agent.input("s2", "When do we ship?"))
    assert "sekha._sync.memory" in loaded
    unneeded = {*NOT_NEEDED, "sekha.cli.app", "sekha.local", "sekha._async"}
    unneeded |= {
        one for one in loaded if one.startswith(("sekha._importing.plan", "sekha._importing.j", "sekha.exports."))
    }
    assert loaded & unneeded == set()


def test_bad_input_loads_no_client(alone: Agent) -> None:
    loaded = loaded_by(alone, "hook", "recall", data=[])
    assert loaded & {*NOT_NEEDED, "sekha._sync.client", "pydantic_core"} == set()
