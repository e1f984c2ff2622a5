"""Chats of VS Code: exports, sessions, logs of sessions, and shapes that none has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha.exports import ExportItem, read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._kinds import find_kind
from sekha.exports._vscode import parse_vscode, parse_vscode_log
from sekha.types import UnreadableConversation
from unit.exports.mutations import check_mutations

NINE = "2025-05-01T09:00:00.000000+00:00"
MILLISECONDS = 1746090000000


def request(text: Any = "Which port?", *response: Any, **more: Any) -> Dict[str, Any]:
    return {"message": {"text": text, "parts": []}, "timestamp": MILLISECONDS, "response": list(response), **more}


def markdown(text: str) -> Dict[str, Any]:
    return {"value": text, "isTrusted": False, "supportThemeIcons": False}


def reference(called: Any = None, /, **target: Any) -> Dict[str, Any]:
    return {"kind": "inlineReference", "inlineReference": target, **({"name": called} if called else {})}


def session(*requests: Any, **more: Any) -> Dict[str, Any]:
    given = {"version": 3, "responderUsername": "GitHub Copilot", "sessionId": "s1", "creationDate": MILLISECONDS}
    return {**given, "requests": list(requests), **more}


def read(*requests: Any, **more: Any) -> ReadConversation:
    return parse_vscode(session(*requests, **more), None)


def answer(*response: Any) -> str:
    """The answer to a question."""
    messages = read(request("Which port?", *response))["messages"]
    return str(messages[1]["content"]) if len(messages) > 1 else ""


def logged(*changes: Dict[str, Any], start: Any = None) -> List[ReadConversation]:
    first = {"kind": 0, "v": session(request("Which port?", markdown("Port"))) if start is None else start}
    lines: List[Dict[str, Any]] = json.loads(json.dumps([first, *changes]))
    return list(parse_vscode_log(lines, None))


def said(conversation: ReadConversation) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in conversation["messages"]]


def test_a_session() -> None:
    found = read(
        request("Which port?", markdown("Port 9100."), modelState={"value": 1, "completedAt": MILLISECONDS + 2000}),
        request("And why?\nTell me.", markdown("Nobody knows."), timestamp=MILLISECONDS + 60000),
    )
    assert found == {
        "label": "Which port?",
        "messages": [
            {"role": "user", "content": "Which port?", "timestamp": NINE},
            {"role": "assistant", "content": "Port 9100.", "timestamp": NINE.replace("00.000", "02.000")},
            {"role": "user", "content": "And why?\nTell me.", "timestamp": NINE.replace(":00:", ":01:", 1)},
            {"role": "assistant", "content": "Nobody knows.", "timestamp": NINE.replace(":00:", ":01:", 1)},
        ],
    }
    assert (found.source_id, found.created_at, found.updated_at) == ("s1", NINE, NINE.replace(":00:", ":01:", 1))
    assert found.left_out == {}


def test_title_times_and_folder() -> None:
    found = parse_vscode(session(request(), customTitle="Ports", lastMessageDate=MILLISECONDS + 5000), "/work")
    assert (found["label"], found["folder"]) == ("Ports", "/work")
    assert found.updated_at == NINE.replace("00.000", "05.000")
    found = parse_vscode({"responderUsername": "GitHub Copilot", "requests": [request()]}, None)
    assert (found.source_id, found.created_at, found.updated_at) == (None, NINE, NINE)


@pytest.mark.parametrize(
    "message", ["Which port?", {"text": "Which port?"}, {"parts": [{"text": "Which "}, {"text": "port?"}]}]
)
def test_the_words_of_a_user(message: Any) -> None:
    assert said(read(request(message=message))) == ["user: Which port?"]


def test_what_was_attached_is_named() -> None:
    variables = [
        {"kind": "file", "name": "file:main.py", "id": "x"},
        {"kind": "file", "name": "file:seen.py"},
        {"kind": "image", "name": "screen.png", "value": {"0": 1}},
        {"kind": "implicit", "name": "file:open.py"},
        {"kind": "promptFile", "name": "prompt:rules"},
        {"kind": "file"},
    ]
    found = read(request("What is #file:seen.py?", variableData={"variables": variables}))
    assert said(found) == ["user: What is #file:seen.py?\n[main.py]\n[screen.png]"]
    assert found.left_out["context"] == 3


RESPONSES: List[Any] = [
    (["Port 9100."], "Port 9100."),
    ([markdown("In "), reference("main.py"), markdown(" there is one.")], "In main.py there is one."),
    ([markdown("See "), reference(None, path="/home/ana/a%20b.py", scheme="file"), "."], "See a b.py."),
    ([markdown("See "), reference(None, uri={"path": "/x/c.py"}, range={}), "."], "See c.py."),
    ([markdown("See "), reference(None, name="run", location={"uri": {"path": "/x/c.py"}}), "."], "See run."),
    (["See ", reference(None, name="", location={"uri": {"path": "/x/c.py"}}), "."], "See c.py."),
    ([{"kind": "markdownContent", "content": markdown("Port 9100.")}], "Port 9100."),
    ([{"kind": "markdownContent", "content": "Port 9100."}], "Port 9100."),
    ([{"kind": "markdownVuln", "content": markdown("Port 9100."), "vulnerabilities": []}], "Port 9100."),
    ([{"kind": "somethingNew", "value": "Port 9100."}], "Port 9100."),
    ([{"kind": "treeData", "treeData": {"label": "src", "uri": {}}}], "[src]"),
    ([markdown("Read [](file:///home/ana/main.py#L3).")], "Read main.py."),
    (["First.", {"kind": "toolInvocationSerialized"}, "Then."], "First.\nThen."),
    (["First.\n", {"kind": "toolInvocationSerialized"}, "Then."], "First.\nThen."),
    ([{"kind": "toolInvocationSerialized"}, "Then."], "Then."),
]  # fmt: skip


@pytest.mark.parametrize(("response", "expected"), RESPONSES)
def test_the_words_of_an_answer(response: List[Any], expected: str) -> None:
    assert answer(*response) == expected


@pytest.mark.parametrize("fence", ["```", "````"])
def test_a_block_in_which_only_a_file_was_edited_goes_and_code_stays(fence: str) -> None:
    edit: List[Any] = [
        {"kind": "codeblockUri", "uri": {}, "isEdit": True},
        {"kind": "textEditGroup", "uri": {}, "edits": []},
    ]
    assert answer("I change it.\n", f"\n{fence}python\n", *edit, f"\n{fence}\n", "Done.") == "I change it.\nDone."
    block: List[Any] = [f"Run:\n{fence}python\n", edit[0], f"print(1)\n{fence}\nDone."]
    assert answer(*block) == f"Run:\n{fence}python\nprint(1)\n{fence}\nDone."
    assert answer("First.\n", *edit, "Then.") == "First.\nThen."


def test_what_is_left_out_is_counted_by_kind() -> None:
    kinds = [
        "thinking", "toolInvocationSerialized", "prepareToolInvocation", "textEditGroup", "codeblockUri", "undoStop",
        "progressTaskSerialized", "confirmation", "warning", "notebookEditGroup",
    ]  # fmt: skip
    found = read(
        request("Hi", "Hello", *({"kind": kind, "value": "x"} for kind in kinds), {"kind": "new"}, {"kind": 7}, 7)
    )
    assert said(found) == ["user: Hi", "assistant: Hello"]
    assert found.left_out == {
        "thinking": 1, "tools": 4, "edits of files": 3, "hidden": 2,
        "unknown: part of a response: new": 1, "unknown: part of a response": 2,
    }  # fmt: skip


def test_what_has_no_answer() -> None:
    failed = request("A", result={"errorDetails": {"message": "Canceled"}})
    found = read(failed, request("B"), request("C", {"kind": "toolInvocationSerialized"}), request("D", response=None))
    assert said(found) == ["user: A", "user: B", "user: C", "user: D"]
    assert found.left_out == {"errors": 1, "empty": 2, "tools": 1}


def test_what_the_user_went_back_from_is_left_out() -> None:
    found = read(request("Old", shouldBeRemovedOnSend={"requestId": "r"}), request("New"))
    assert (said(found), found.left_out) == (["user: New"], {"hidden": 1, "empty": 1})


def test_what_the_application_itself_said_is_left_out() -> None:
    found = read(request("The command ended.", "I go on.", isSystemInitiated=True))
    assert (said(found), found.left_out) == (["assistant: I go on."], {"hidden": 1})


def test_a_chat_that_was_only_opened_is_empty() -> None:
    assert read()["messages"] == []
    kind = find_kind(session(request()))
    assert kind is not None
    empty: Dict[str, Any] = {"version": 3, "sessionId": "s", "requests": []}
    for data in (session(), empty):
        assert find_kind(data) is kind


# Logs


def test_the_changes_of_a_log_are_made() -> None:
    found = logged(
        {"kind": 1, "k": ["customTitle"], "v": "Ports"},
        {"kind": 2, "k": ["requests", 0, "response"], "v": [markdown(" 9"), {"kind": "thinking"}]},
        {"kind": 2, "k": ["requests", 0, "response"], "i": 2, "v": [markdown("100.")]},
        {"kind": 2, "k": ["requests"], "v": [request("And why?")]},
        {"kind": 1, "k": ["requests", 1, "response"], "v": [markdown("Nobody knows.")]},
        {"kind": 1, "k": ["requests", 2], "v": request("Thanks", "You are welcome.")},
        {"kind": 2, "k": ["requests"], "v": [request("Removed")]},
        {"kind": 3, "k": ["requests", 3]},
        {"kind": 1, "k": ["inputState"], "v": None},
        {"kind": 3, "k": ["inputState"]},
        {"kind": 2, "k": ["requests", 0, "followups"], "v": [{"message": "More?"}]},
        {"kind": 2, "k": ["requests", 0, "followups"], "i": 0},
    )
    assert [one["label"] for one in found] == ["Ports"]
    assert said(found[0]) == [
        "user: Which port?", "assistant: Port 9100.", "user: And why?", "assistant: Nobody knows.",
        "user: Thanks", "assistant: You are welcome.",
    ]  # fmt: skip
    assert found[0].left_out == {}


def test_a_log_that_was_begun_anew_is_one_session_and_two_sessions_are_two() -> None:
    whole = {"kind": 0, "v": session(request("Which port?", "Port 9100."))}
    other = {"kind": 0, "v": session(request("Hello", "Hi"), sessionId="s2")}
    assert [said(one) for one in logged(whole)] == [["user: Which port?", "assistant: Port 9100."]]
    assert [one.source_id for one in logged(whole, other)] == ["s1", "s2"]


def test_a_session_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    broken = {"kind": 0, "v": session(7, sessionId="s2")}
    good = {"kind": 0, "v": session(request("Hello", "Hi"), sessionId="s3")}
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, [broken, {**broken, "v": session(8)}, good])))
    conversation, failure = list(read_export(tmp_path / "log.jsonl"))
    assert getattr(conversation, "source_id", None) == "s3"
    assert isinstance(failure, UnreadableConversation)
    assert failure.problem.endswith("a request that is no JSON object), and 1 more in this file cannot be read")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 1, "k": ["requests", 7], "v": 1}, {"kind": 1, "k": ["requests", -1], "v": 1}, {"kind": 1, "k": []},
        {"kind": 1, "k": ["requests", True], "v": 1}, {"kind": 1, "k": ["nothing", "there"], "v": 1},
        {"kind": 1, "k": [7], "v": 1}, {"kind": 1, "k": "requests", "v": 1}, {"kind": 1, "k": [["requests"]], "v": 1},
        {"kind": 2, "k": ["sessionId"], "v": [1]}, {"kind": 2, "k": ["requests"], "v": 7},
        {"kind": 2, "k": ["requests"], "v": [], "i": -1}, {"kind": 2, "k": ["requests"], "v": [], "i": "0"},
        {"kind": 2, "k": ["requests", 9, "response"], "v": []}, {"kind": 2, "k": ["requests", 9], "v": []},
        {"kind": 3, "k": ["requests", 9]}, {"kind": 3, "k": []}, {"kind": 3, "k": ["sessionId", 0]},
        {"kind": 9, "k": ["x"]}, {"kind": True, "k": ["customTitle"], "v": "x"}, {"kind": 0, "v": 7}, {}, 7, None,
    ],
)  # fmt: skip
def test_a_change_that_is_not_understood_is_counted(change: Any) -> None:
    found = logged(change)
    assert said(found[0]) == ["user: Which port?", "assistant: Port"]
    assert [number for kind, number in found[0].left_out.items() if kind.startswith("unknown: a change of")] == [1]


def test_a_log_without_a_session() -> None:
    with pytest.raises(Unreadable, match="the log has no session"):
        list(parse_vscode_log([{"kind": 2, "k": ["requests"], "v": []}], None))


# Files


def texts(path: Path, **options: Any) -> List[Any]:
    found: List[ExportItem] = list(read_export(path, **options))
    assert not [one for one in found if isinstance(one, UnreadableConversation)], found
    return [
        [message["content"] for message in one.get("messages", [])]
        for one in found
        if not isinstance(one, UnreadableConversation)
    ]


def test_sessions_are_found_in_folders_by_what_is_in_them(tmp_path: Path) -> None:
    below = tmp_path / "workspaceStorage" / "0a1b" / "chatSessions"
    below.mkdir(parents=True)
    (below.parent / "workspace.json").write_text('{"folder": "file:///home/ana/work"}')
    (below / "one.json").write_text(json.dumps(session(request("One", "Yes.")), indent=1))
    lines = [
        {"kind": 0, "v": session(sessionId="s2")},
        {"kind": 2, "k": ["requests"], "v": [request("Two")]},
        {"kind": 2, "k": ["requests", 0, "response"], "v": ["Yes."]},
    ]
    (below / "two.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert texts(tmp_path) == [["One", "Yes."], ["Two", "Yes."]]


def test_a_broken_line_of_a_log_is_named_and_costs_no_other(tmp_path: Path) -> None:
    first, second = {"kind": 0, "v": session()}, {"kind": 2, "k": ["requests"], "v": [request("One", "Yes.")]}
    (tmp_path / "log.jsonl").write_text(f'{json.dumps(first)}\n{{"kind": 1, "k": ["cus\n{json.dumps(second)}\n')
    conversation, failure = list(read_export(tmp_path / "log.jsonl"))
    assert isinstance(failure, UnreadableConversation)
    assert failure.place == "log.jsonl, line 2"
    assert not isinstance(conversation, UnreadableConversation)
    assert len(conversation.get("messages", [])) == 2


OTHERS: List[Any] = [
    {"requests": 7}, {"requests": [{"url": "x", "response": {}}]}, {"requests": [], "sessionId": "s"},
    {"kind": 1}, {"kind": 0, "v": {}}, {"kind": 5, "k": []}, {"kind": "x", "k": []}, {"kind": True, "k": []},
    {"sessionId": "s", "creationDate": 1},
]  # fmt: skip


@pytest.mark.parametrize("data", OTHERS)
def test_other_things_are_not_taken_for_it(data: Any) -> None:
    assert find_kind(data) is None


# Shapes that none has

WHOLE = session(
    request(
        "Which port?",
        markdown("In "),
        reference("main.py", path="/x/main.py"),
        {"kind": "thinking", "value": "Hm."},
        {"kind": "markdownContent", "content": markdown("9100")},
        variableData={"variables": [{"kind": "file", "name": "file:main.py"}]},
        modelState={"completedAt": MILLISECONDS},
        result={"errorDetails": {"message": "x"}},
    ),
    customTitle="Ports",
)


def test_wrong_types_anywhere_lose_nothing_in_silence() -> None:
    check_mutations(lambda data: parse_vscode(data, None), WHOLE, optional=("response", "text", "content", "value"))


def test_wrong_types_in_a_log_lose_nothing_in_silence() -> None:
    log = [
        {"kind": 0, "v": session(request("Which port?", "In ", "x"), request("Hello", "Hi"))},
        {"kind": 1, "k": ["requests", 0, "response", 0], "v": markdown("On ")},
        {"kind": 2, "k": ["requests"], "v": [request("And?", "Yes.")], "i": 1},
    ]
    check_mutations(lambda data: parse_vscode_log(data, None), log, optional=("response", "text", "value", "v", "i"))
