"""Conversations of Claude, as exports of all years have them, and of shapes that none has."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Optional

import pytest

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._claude import parse_claude
from unit.exports.wrong_types import broken

ZERO = "00000000-0000-4000-8000-000000000000"
NOTICE = "```\nThis block is not supported on your current device yet.\n```"


def human(*blocks: Any, **more: Any) -> Dict[str, Any]:
    """A message of the user; plain strings are blocks of text."""
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return {"sender": "human", "text": "", "content": content, "attachments": [], "files": [], **more}


def answer(*blocks: Any, **more: Any) -> Dict[str, Any]:
    return {**human(*blocks), "sender": "assistant", **more}


def at(second: int) -> str:
    return f"2025-05-01T09:00:{second:02}.000000Z"


def read(*messages: Any, **more: Any) -> ReadConversation:
    return parse_claude({"uuid": "k", "name": "Plans", "chat_messages": list(messages), **more}, None)


def said(*messages: Any, **more: Any) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(*messages, **more)["messages"]]


def artifact(id: Optional[str], content: Any = None, title: Any = None, **more: Any) -> Dict[str, Any]:
    given = {"id": id, "content": content, "title": title, **more}
    return {"type": "tool_use", "name": "artifacts", "input": {k: v for k, v in given.items() if v is not None}}


# Where the words stand


@pytest.mark.parametrize(
    "message",
    [
        human("Hello"),
        {"sender": "human", "text": "Hello"},
        {"sender": "human", "text": "Hello", "content": None},
        human(text="Hello"),
        human("", " ", text="Hello"),
        human({"type": "tool_use", "name": "x", "input": {}}, {"type": "new"}, text="Hello"),
        {"sender": "human", "content": "Hello"},
        {"sender": "human", "content": ["Hello"]},
        {"sender": "human", "content": {"type": "text", "text": "Hello"}},
        {"role": "user", "content": [{"text": "Hello"}]},
        human({"type": "voice_note", "title": "Note", "text": "Hello"}),
        human({"type": "voice_note", "transcript": "Hello"}),
        human({"type": "new", "text": "Hello"}),
        human({"type": "thinking", "thinking": "Hm."}, text=f"Hm.\n{NOTICE}\n\nHello"),
        human({"type": "thinking", "thinking": "", "summaries": [{"summary": "Hm."}]}, text="Hm.Hello"),
        human(text=f"{NOTICE}\nHello"),
    ],
)
def test_the_words_are_found_wherever_they_stand(message: Dict[str, Any]) -> None:
    assert said(message) == ["user: Hello"]


def test_blocks_come_before_the_text() -> None:
    assert said(answer("One.", {"type": "tool_result", "content": []}, "Two.", text=f"One.\n{NOTICE}\nTwo.")) == [
        "assistant: One.\nTwo."
    ]


def test_what_has_no_words_is_a_word_in_brackets() -> None:
    blocks = ({"type": "image"}, {"type": "document", "title": "plan.pdf"}, {"type": "voice_note"})
    assert said(human(*blocks)) == ["user: [image]\n[plan.pdf]\n[voice note]"]


def test_attachments_and_files() -> None:
    file = {"file_name": "b.png", "file_uuid": "u"}
    message = human(
        attachments=[{"file_name": "a.txt", "extracted_content": "Text."}, {"extracted_content": "Pasted."}, "c.txt"],
        files=[file, {}, {}],
        files_v2=[file, {"file_name": "d.pdf"}],
    )
    assert said(message) == ["user: [a.txt]\nText.\n[attachment]\nPasted.\n[c.txt]\n[b.png]\n[file]\n[file]\n[d.pdf]"]


def test_what_is_left_out_is_counted() -> None:
    found = read(
        human("Hello"),
        answer(
            {"type": "thinking", "thinking": "Hm."},
            {"type": "tool_use", "name": "web_search", "input": {}},
            {"type": "tool_result", "content": []},
            {"type": "token_budget"},
            {"type": "mystery"},
            "Hi",
        ),
        answer(text=NOTICE),
        human(" "),
    )
    assert found.left_out == {"thinking": 1, "tools": 3, "hidden": 1, "unknown: block mystery": 1, "empty": 1}
    assert len(found["messages"]) == 2


# Branches and their order


def test_the_branch_with_the_latest_message_is_taken_and_nothing_of_others() -> None:
    tree = [
        human("Old", uuid="h1", parent_message_uuid=ZERO, created_at=at(1)),
        answer(artifact("a", "Old list", "List"), uuid="c1", parent_message_uuid="h1", created_at=at(2)),
        human("New", uuid="h2", parent_message_uuid=ZERO, created_at=at(3)),
        answer("First try", uuid="c2", parent_message_uuid="h2", created_at=at(4)),
        answer("Answer", uuid="c3", parent_message_uuid="h2", created_at=at(5)),
    ]
    expected = ["user: New", "assistant: Answer"]
    assert said(*tree) == said(*reversed(tree)) == expected
    assert read(*tree).left_out == {"other branches": 3}
    assert said(*tree, current_leaf_message_uuid="c2") == ["user: New", "assistant: First try"]
    unsaid = [{**one, "parent_message_uuid": None} if one["parent_message_uuid"] == ZERO else one for one in tree]
    assert said(*unsaid) == expected


def test_the_order_is_that_of_the_times_where_there_are_no_parents() -> None:
    assert said(answer("Hi", created_at=at(2)), human("Hello", created_at=at(1))) == ["user: Hello", "assistant: Hi"]
    assert said(human("A"), answer("B"), human("C")) == ["user: A", "assistant: B", "user: C"]


# Documents


def test_a_document_stands_once_where_it_was_changed_last() -> None:
    messages = [
        human("Write the list"),
        answer("Here.", artifact("p", "Tent, stove.\n", "List", command="create")),
        human("Add a map"),
        answer(artifact("p", None, None, command="update", old_str="stove.", new_str="stove, map."), "Added."),
    ]
    assert said(*messages) == [
        "user: Write the list",
        "assistant: Here.",
        "user: Add a map",
        "assistant: [List]\nTent, stove, map.\nAdded.",
    ]
    rewritten = [*messages, answer(artifact("p", "Nothing.", "Short list", command="rewrite"))]
    assert said(*rewritten)[3:] == ["assistant: Added.", "assistant: [Short list]\nNothing."]


def test_a_message_that_was_nothing_but_a_document_keeps_its_title() -> None:
    messages = [answer(artifact("p", "One.", "List")), human("Two?"), answer(artifact("p", "Two.", "List"))]
    assert said(*messages) == ["assistant: [List]", "user: Two?", "assistant: [List]\nTwo."]


def test_several_documents() -> None:
    made = answer(artifact("a", "A", "One"), artifact("b", "B", "Two"), artifact("a", old_str="A", new_str="C"))
    assert said(made) == ["assistant: [Two]\nB\n[One]\nC"]


def test_what_an_update_says_is_never_lost() -> None:
    made = answer(artifact("a", "A", "One"), artifact("a", old_str="gone", new_str="New words"))
    assert said(made) == ["assistant: [One]\nA\nNew words"]
    assert said(answer(artifact("a", old_str="x", new_str="Only words"))) == ["assistant: [a]\nOnly words"]
    found = read(human("x"), answer(artifact("a", {"no": "text"})))
    assert found.left_out == {"unknown: an artifact without content": 1}


def test_files_that_people_see_are_documents_and_others_are_not() -> None:
    def tool(name: str, **given: Any) -> Dict[str, Any]:
        return {"type": "tool_use", "name": name, "input": given}

    found = read(
        answer(
            "Drafting.",
            tool("create_file", path="/home/claude/try.py", file_text="print()"),
            tool("create_file", path="/home/claude/essay.md", file_text="First draft"),
            tool("str_replace", path="/home/claude/essay.md", old_str="First", new_str="Second"),
            tool("create_file", path="/mnt/user-data/outputs/b.md", file_text="B"),
            tool("bash_tool", command="cp /home/claude/essay.md /mnt/user-data/outputs/"),
            tool("present_files", filepaths=["/mnt/user-data/outputs/essay.md", 7]),
        )
    )
    assert found["messages"][0]["content"] == "Drafting.\n[essay.md]\nSecond draft\n[b.md]\nB"
    assert found.left_out == {"tools": 3}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<antThinking>Hm.</antThinking>\nHello", "Hello"),
        ("Hello\n<antThinking>Hm.", "Hello"),
        ("<antthinking>Hm.\n</antthinking>Hello", "Hello"),
        ('<antArtifact identifier="p" title="List">\nTent.\n</antArtifact>\nDone.', "[List]\nTent.\nDone."),
        ("<antArtifact identifier='p'>Tent.", "[p]\nTent."),
        ('<antArtifact title="A &amp; B">x</antArtifact>', "[A & B]\nx"),
        ('<antArtifact identifier="p" title="a > b">x</antArtifact>', "[a > b]\nx"),
        (
            '<antArtifact identifier="p" title="L">1</antArtifact> or <antArtifact identifier="p">2</antArtifact>',
            " or \n[p]\n2",
        ),
        ("The tag `<antThinking>` hides.", "The tag `<antThinking>` hides."),
        ("The tag <antThinking> hides.", "The tag <antThinking> hides."),
    ],
)
def test_tags_of_2024(text: str, shown: str) -> None:
    for message in (answer(text), answer(text=text), {"sender": "assistant", "text": text}):
        assert said(message) == [f"assistant: {shown}"]


def test_tags_of_a_user_are_words() -> None:
    assert said(human("<antThinking>?</antThinking>")) == ["user: <antThinking>?</antThinking>"]


def test_both_generations_are_one_document() -> None:
    tag = '<antArtifact identifier="p" title="List">Tent.</antArtifact>'
    assert said(answer("Here.", tag), answer(artifact("p", old_str="Tent", new_str="Map"))) == [
        "assistant: Here.",
        "assistant: [List]\nMap.",
    ]


# Shapes that none has


@pytest.mark.parametrize(
    "messages",
    [
        [7], ["Hello"], [None], [[]],
        [{}], [{"sender": "nobody", "text": "Hello"}], [human(7)], [human({"type": "new"})],
        [{"sender": "human", "text": 7}],
    ],
)  # fmt: skip
def test_a_conversation_of_which_nothing_is_understood_is_none(messages: List[Any]) -> None:
    if messages == [{}]:
        assert read(*messages).left_out == {"empty": 1}
        return
    with pytest.raises(Unreadable, match="no readable messages"):
        read(*messages)
    assert len(read(human("Hello"), *messages)["messages"]) == 1


def test_a_list_that_is_none() -> None:
    with pytest.raises(Unreadable, match="'chat_messages' is not a list"):
        parse_claude({"chat_messages": {}}, None)


TREE = [
    human("Hello", uuid="a", parent_message_uuid=ZERO, created_at=at(1), attachments=[{"file_name": "n"}], files=[{}]),
    answer(artifact("p", "x", "T"), uuid="b", parent_message_uuid="a", created_at=at(2)),
    answer(
        {"type": "tool_use", "name": "present_files", "input": {"filepaths": ["x"]}},
        {"type": "thinking", "summaries": []},
    ),
]


def test_wrong_types_anywhere_are_no_exceptions_and_never_lost_in_silence() -> None:
    for data in broken({"uuid": "k", "name": "Plans", "created_at": at(0), "chat_messages": TREE}):
        try:
            found = parse_claude(data, None)
        except Unreadable:
            continue
        assert found["messages"] or found.left_out or not data["chat_messages"], data
        json.dumps(found).encode()


@pytest.mark.parametrize(
    "tag", ["<antArtifact ", "<antArtifact a='", "<antThinking>", "<antArtifact>", "<antThinking x"]
)
def test_tags_take_a_time_that_grows_with_the_text(tag: str) -> None:
    began = time.process_time()
    read(answer(tag * 50_000))
    assert time.process_time() - began < 5
