"""What a session of Codex says, and what is left out of it and counted."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._codex import is_codex, parse_codex, parse_codex_session
from sekha.exports._kinds import find_kind
from unit.exports.mutations import check_mutations

Record = Dict[str, Any]


def line(kind: str, second: int = 0, **payload: Any) -> Record:
    return {"timestamp": f"2025-10-01T09:00:{second:02}.000Z", "type": kind, "payload": payload}


def meta(**more: Any) -> Record:
    return line("session_meta", id="c1", timestamp="2025-10-01T09:00:00.000Z", cwd="/home/ana/garden", **more)


def event(kind: str, second: int = 0, **more: Any) -> Record:
    return line("event_msg", second, type=kind, **more)


def asked(text: Any, second: int = 0, **more: Any) -> Record:
    return event("user_message", second, message=text, **more)


def answered(text: Any, second: int = 0) -> Record:
    return event("agent_message", second, message=text)


def bare(role: str, *texts: Any) -> Record:
    """An item of the API, as the lines of 2025 were."""
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text} if isinstance(text, str) else text for text in texts]
    return {"type": "message", "role": role, "content": content}


def item(role: str, *texts: Any, second: int = 0) -> Record:
    return line("response_item", second, **bare(role, *texts))


def read(*records: Any, folder: Optional[str] = None) -> ReadConversation:
    (found,) = parse_codex(records, folder)
    return found


def said(*records: Any) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(*records)["messages"]]


CONTEXT = "<environment_context>\n  <cwd>/home/ana/garden</cwd>\n</environment_context>"
RULES = "# AGENTS.md instructions for /home/ana/garden\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>"
SESSION: List[Record] = [
    meta(),
    item("developer", "You are Codex."),
    item("user", RULES, CONTEXT),
    line("turn_context", cwd="/home/ana/garden"),
    item("user", "Which port?", second=1),
    asked("Which port?", 1),
    event("agent_reasoning", text="Hm."),
    line("response_item", type="reasoning", summary=[]),
    line("response_item", type="function_call", name="shell"),
    line("response_item", type="function_call_output", output="x"),
    event("token_count"),
    answered("Port 9100.", 2),
    item("assistant", "Port 9100.", second=2),
    line("compacted", message="A summary"),
]


def test_a_session() -> None:
    found = read(*SESSION)
    assert found == {
        "folder": "/codex/garden",
        "messages": [
            {"role": "user", "content": "Which port?", "timestamp": "2025-10-01T09:00:01.000Z"},
            {"role": "assistant", "content": "Port 9100.", "timestamp": "2025-10-01T09:00:02.000Z"},
        ],
    }
    assert found.source_id == "c1"
    assert (found.created_at, found.updated_at) == ("2025-10-01T09:00:00.000Z", "2025-10-01T09:00:02.000Z")
    assert found.left_out == {"system": 1, "hidden": 2, "thinking": 1, "tools": 2}
    assert read(*SESSION, folder="/old")["folder"] == "/old"


def test_a_name_is_the_title() -> None:
    named = event("thread_name_updated", thread_name="Ports")
    assert read(*SESSION, named, event("thread_name_updated", thread_name="My ports"))["label"] == "My ports"


def test_a_message_that_is_only_among_the_events_or_the_items_is_there() -> None:
    assert said(meta(), asked("A"), answered("B")) == ["user: A", "assistant: B"]
    assert said(meta(), item("user", "A"), item("assistant", "B")) == ["user: A", "assistant: B"]
    assert said(meta(), asked("A"), item("user", "A"), item("assistant", "B")) == ["user: A", "assistant: B"]


def test_an_item_without_a_type_is_a_message() -> None:
    assert said(meta(), line("response_item", role="user", content=[{"type": "input_text", "text": "A"}])) == [
        "user: A"
    ]


def test_the_same_words_twice_are_two_messages() -> None:
    twice = [asked("Go on"), item("user", "Go on"), item("assistant", "Yes"), answered("Yes")] * 2
    assert said(meta(), *twice) == ["user: Go on", "assistant: Yes"] * 2


def test_what_no_event_tells_was_not_said_by_the_user() -> None:
    found = read(meta(), asked("A"), item("user", "A"), item("user", "A plugin says something new"), answered("B"))
    assert [message["content"] for message in found["messages"]] == ["A", "B"]
    assert found.left_out == {"hidden": 1}


def test_questions_that_were_taken_back() -> None:
    records = [meta(), asked("A"), answered("B"), asked("C"), answered("D"), asked("E"), answered("F")]
    back = read(*records, event("thread_rolled_back", num_turns=2), asked("G"))
    assert [message["content"] for message in back["messages"]] == ["A", "B", "G"]
    assert back.left_out == {"other branches": 4}
    assert said(*records[:3], event("thread_rolled_back", num_turns=9), asked("G")) == ["user: G"]
    assert said(*records[:3], event("thread_rolled_back", num_turns=0)) == ["user: A", "assistant: B"]


def test_a_session_that_continues_another_has_its_own_id() -> None:
    parent = line("session_meta", id="c0", timestamp="2025-09-01T09:00:00.000Z", cwd="/home/ana/other")
    found = read(meta(forked_from_id="c0"), parent, asked("A"))
    assert (found.source_id, found["folder"]) == ("c1", "/codex/garden")


def test_a_session_of_a_subagent_is_empty() -> None:
    found = read(meta(source={"subagent": {"thread_spawn": {}}}), asked("A"), answered("B"))
    assert (found["messages"], found.left_out) == ([], {"subagents": 2})
    assert said(meta(source="cli"), asked("A")) == ["user: A"]


OLD: List[Record] = [
    {"id": "c2", "timestamp": "2025-08-01T09:00:00.000Z", "instructions": None, "git": {}},
    {"record_type": "state"},
    bare("user", CONTEXT),
    bare("user", "Which port?"),
    {"type": "reasoning", "summary": []},
    {"type": "local_shell_call", "action": {}},
    bare("assistant", "Port 9100."),
]


def test_lines_of_2025() -> None:
    assert find_kind(OLD[0]) == find_kind(SESSION[0])
    found = read(*OLD)
    assert (found.source_id, found["folder"], said(*OLD)) == (
        "c2", "/codex/garden", ["user: Which port?", "assistant: Port 9100."]
    )  # fmt: skip
    assert found.created_at == "2025-08-01T09:00:00.000Z"
    assert found.left_out == {"hidden": 1, "thinking": 1, "tools": 1}


def test_a_whole_session_in_one_object() -> None:
    data = {"session": OLD[0], "items": OLD[2:]}
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "Codex"
    assert parse_codex_session(data, None) == read(*OLD)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nWhy?", "Why?"),
        (f"{CONTEXT}\nWhy?", "Why?"),
        ("<div>is a tag</div>", "<div>is a tag</div>"),
        ("What is <environment_context>?", "What is <environment_context>?"),
    ],
)
def test_the_words_of_the_user_are_kept(text: str, shown: str) -> None:
    assert said(meta(), asked(text)) == said(*OLD[:2], bare("user", text)) == [f"user: {shown}"]


def test_images_are_a_word() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    both = [asked("Look", images=["data:image/png;base64,AAAA"]), item("user", "<image>", image, "</image>", "Look")]
    assert said(meta(), *both) == ["user: [image]\nLook"]
    assert said(meta(), both[1]) == ["user: [image]\nLook"]
    assert said(meta(), asked("Look", local_images=["/tmp/a.png"])) == ["user: [image]\nLook"]


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (asked(RULES), "hidden"),
        (asked(CONTEXT), "hidden"),
        (asked("<turn_aborted>\nThe user interrupted"), "hidden"),
        (asked(""), "empty"),
        (asked(7), "unknown: user_message that is no text"),
        (event("error", message="No network"), "errors"),
        (event("fanfare"), "unknown: event fanfare"),
        (line("news"), "unknown: line news"),
        (line("response_item", type="hologram"), "unknown: item hologram"),
        (
            line("response_item", type="message", role="critic", content="A"),
            "unknown: a message with type, role, content",
        ),
        (line("response_item", type="message", role="assistant", content=[{"type": "x"}]), "unknown: part x"),
        (line("response_item", type="message", role="assistant", content=[]), "empty"),
        ({"type": "event_msg", "payload": 7}, "unknown: a message with type, payload"),
        ({"x": 1}, "unknown: a message with x"),
        (7, "unknown: a message that is no JSON object"),
    ],
)
def test_what_is_left_out_is_counted(record: Any, kind: str) -> None:
    found = read(meta(), asked("Hello"), answered("Hi"), record)
    assert [message["content"] for message in found["messages"]] == ["Hello", "Hi"]
    assert found.left_out == {kind: 1}


def test_a_session_of_which_nothing_is_understood_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="item hologram"):
        read(meta(), line("response_item", type="hologram"))


@pytest.mark.parametrize("data", [{"type": "event_msg"}, {"id": 1, "timestamp": 2}, {"type": "message", "payload": {}}])
def test_what_is_no_line_of_a_session(data: Record) -> None:
    assert not is_codex(data)


@pytest.mark.parametrize("session", [SESSION, OLD, [meta(), asked("A"), event("thread_rolled_back", num_turns=0)]])
def test_wrong_types_are_no_exceptions_and_never_lost_in_silence(session: List[Record]) -> None:
    check_mutations(lambda data: parse_codex(data, None), session)
