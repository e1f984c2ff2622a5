"""Conversations that are too large are split at whole messages, by the bytes that are really sent."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api.arguments import complete_conversation
from sekha._api.compat.requests import MAX_BODY_BYTES, pad_body
from sekha._api.endpoints import CREATE_CONVERSATION, MEMORY_STORE
from sekha._importing.journal import Journal
from sekha._importing.plan import Item, Rejected, iter_items, preview_split
from sekha._importing.split import Part, SplitTally, TooLarge, make_split, may_exceed, split_conversation
from sekha.exports._building import ReadConversation
from sekha.types import ImportFailure, UnreadableConversation

DATES = {"created_at": "2023-12-01T01:30:00.000000+00:00", "updated_at": "2024-02-01T08:00:00.000000+00:00"}
LIMIT = 2000


def request(*contents: Any, label: str = "A long year", **more: Any) -> Dict[str, Any]:
    messages = [{"role": "user", "content": content} for content in contents]
    return complete_conversation({"label": label, "messages": messages, **more})


def sent_bytes(part: Dict[str, Any]) -> int:
    """The larger one of the bodies in which a conversation is sent."""
    bodies = [endpoint.request(pad_body({**part, **DATES})).content for endpoint in (CREATE_CONVERSATION, MEMORY_STORE)]
    return max(len(body or b"") for body in bodies)


texts = st.text(max_size=400).map(lambda text: text.replace("\0", ""))
"""Of all planes, and with characters that JSON escapes."""


@given(st.lists(texts, min_size=1, max_size=40), st.sampled_from(["", "é", '"\\\n\x01', "\U0001f600"]))
def test_no_part_is_larger_than_the_limit_and_no_message_is_lost(contents: List[str], more: str) -> None:
    whole = request("x", *(content + more * 20 for content in contents), "\x01" * 100)
    parts = split_conversation(whole, limit=LIMIT + 2000)
    assert [message for part in parts for message in part["messages"]] == whole["messages"]
    assert all(sent_bytes(part) <= LIMIT + 2000 for part in parts)
    assert all(part["messages"] for part in parts)
    if len(parts) == 1:
        assert parts == [whole]
    else:
        assert sent_bytes(whole) > LIMIT, "what is small enough stays whole"
        assert [part["label"] for part in parts] == [
            f"A long year ({n + 1} of {len(parts)})" for n in range(len(parts))
        ]
        assert {part["folder"] for part in parts} == {"/"}


@pytest.mark.parametrize("character", ["x", "é", "中", "\U0001f600", '"', "\\", "\n", "\x01"])
def test_what_counts_is_the_encoded_size(character: str) -> None:
    encoded = len(CREATE_CONVERSATION.request({"x": character}).content or b"") - len('{"x":""}')
    for size, expected in ((MAX_BODY_BYTES - 5_000, 1), (MAX_BODY_BYTES + 5_000, 2)):
        count = size // encoded // 20
        assert len(split_conversation(request(*["x" + character * count] * 20))) == expected


def test_keys_of_messages_count_too() -> None:
    message = {"role": "user", "content": "x", "metadata": {"notes": ["é" * 400, 7, None, {"deep": [True, 0.5]}]}}
    whole = complete_conversation({"label": "A", "messages": [message] * 4})
    parts = split_conversation(whole, limit=LIMIT)
    assert [len(part["messages"]) for part in parts] == [1, 1, 1, 1]
    assert all(sent_bytes(part) <= LIMIT for part in parts)


def test_small_ones_are_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_json(body: object) -> bytes:
        raise AssertionError("it was encoded")

    monkeypatch.setattr("sekha._importing.split.to_json", to_json)
    whole = request(*["x" * 2_000] * 100)
    assert split_conversation(whole) == [whole]
    with pytest.raises(AssertionError, match="encoded"):
        split_conversation(request("x" * MAX_BODY_BYTES))


ODD: List[Dict[str, Any]] = [
    {},
    {"messages": None},
    {"messages": 7},
    {"messages": [7, None, {"content": []}]},
    {"messages": ({},)},
]


@pytest.mark.parametrize("odd", ODD)
def test_anything_can_be_looked_at(odd: Dict[str, Any]) -> None:
    assert not may_exceed(odd)
    assert may_exceed({**odd, "more": "x" * MAX_BODY_BYTES})


def test_one_message_that_is_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(TooLarge, match=r"^messages\[1\] has 1,900,0\d\d bytes; the limit for a request is 1,900,000$"):
        split_conversation(request("x", "y" * 1_900_000, "z"))


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2_000}}
ADDRESS = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


def test_images_are_left_out_of_large_ones_where_they_may_be() -> None:
    whole = request("x", [{"type": "text", "text": "Look:"}, IMAGE, ADDRESS])
    with pytest.raises(TooLarge, match=r"messages\[1\] has .* omits the image in it$"):
        split_conversation(whole, limit=LIMIT)
    (one,) = split_conversation(whole, drop_images=True, limit=LIMIT)
    assert one["messages"][0] == {"role": "user", "content": "x"}
    assert one["messages"][1]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "text", "text": "[image]"},
        ADDRESS,
    ]
    assert split_conversation(whole, drop_images=True) == [whole], "where there is room for them, they stay"
    several = request(*[[IMAGE, {"type": "text", "text": "x" * 300}]] * 12)
    parts = split_conversation(several, drop_images=True, limit=LIMIT)
    assert len(parts) == 3
    assert all(sent_bytes(part) <= LIMIT for part in parts)


# ---- items -----------------------------------------------------------------------------------------------------------


def long_chat(count: int = 40, size: int = 100_000, label: str = "A long year") -> Dict[str, Any]:
    return {"label": label, "messages": [{"role": "user", "content": f"{n} " + "x" * size} for n in range(count)]}


def test_the_parts_of_one_have_its_position_and_keys_of_their_own() -> None:
    items = list(iter_items([long_chat(), long_chat(1, 10, "B")], Journal(None, "http://localhost:8080")))
    assert all(isinstance(item, Item) for item in items)
    parts = [item for item in items if isinstance(item, Item)]
    assert [(item.position, item.part) for item in parts] == [
        *((1, Part(number, 3, "A long year")) for number in (1, 2, 3)),
        (2, None),
    ]
    assert len({item.entry.key for item in parts}) == 4


def test_what_an_older_version_has_stored_whole_stays_whole() -> None:
    journal = Journal(None, "http://localhost:8080")
    whole = complete_conversation(long_chat(19, 101_000))
    journal.done(journal.entry(whole).key, "7c4232c1-6731-4135-af20-23919a1243dd")
    again = Journal(None, "http://localhost:8080")
    again.done(again.entry(whole).key, "7c4232c1-6731-4135-af20-23919a1243dd")
    again._seen.clear()
    (item,) = iter_items([long_chat(19, 101_000)], again)
    assert isinstance(item, Item)
    assert (item.entry.id, item.part) == ("7c4232c1-6731-4135-af20-23919a1243dd", None)


def test_nothing_of_one_with_a_message_that_is_too_large_is_an_item() -> None:
    chat = ReadConversation(long_chat(3, 1_000_000))
    chat["messages"][1]["content"] *= 2
    chat.place = "chats.json, conversation 1"
    bad, good = iter_items([chat, long_chat(1, 10, "B")], Journal(None, "http://localhost:8080"))
    assert isinstance(bad, Rejected)
    assert (bad.place, bad.label) == ("chats.json, conversation 1", "A long year")
    assert bad.problem.startswith("messages[1] has 2,000,")
    assert isinstance(good, Item)


def test_a_dry_run_says_the_same() -> None:
    chat = long_chat()
    same, splits = preview_split(chat, 7, "chats.json", drop_images=False)
    assert same is chat
    assert splits == [{"position": 7, "place": None, "label": "A long year", "parts": 3}]
    small = long_chat(3, 10)
    assert preview_split(small, 8, "chats.json", drop_images=False) == (small, [])
    bad, splits = preview_split(long_chat(1, 2_000_000), 9, "chats.json", drop_images=False)
    assert isinstance(bad, UnreadableConversation)
    assert bad.place == "chats.json, conversation 9"
    assert "messages[0] has 2,000," in bad.problem
    assert splits == []
    odd = {"messages": "x" * 2_000_000}
    assert preview_split(odd, 1, "chats.json", drop_images=False) == (odd, [])
    assert preview_split(bad, 1, "chats.json", drop_images=False) == (bad, [])


# ---- the report ------------------------------------------------------------------------------------------------------


def failure(number: int, unknown: bool = False) -> ImportFailure:
    return {
        "position": 1,
        "place": None,
        "label": f"A ({number} of 3)",
        "error": f"refused {number}",
        "may_have_been_applied": unknown,
    }


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["stored"] * 3, ("stored", True, None)),
        (["already_stored"] * 3, ("already_stored", False, None)),
        (["already_stored", "stored", "already_stored"], ("stored", True, None)),
        (["stored", "failed", "stored"], ("failed", True, "refused 1")),
        (["already_stored", "already_stored", "failed"], ("failed", False, "refused 2")),
        (["failed"] * 3, ("failed", False, "refused 0 (and 2 more of its parts)")),
    ],
)
def test_a_conversation_in_parts_is_counted_once(outcomes: List[str], expected: Any) -> None:
    tally = SplitTally(Part(2, 3, "A"))
    ends = [tally.add(one, failure(n, n == 2) if one == "failed" else None) for n, one in enumerate(outcomes)]
    assert ends == [False, False, True]
    problem = tally.failure
    assert (tally.outcome, tally.has_stored, problem and problem["error"]) == expected
    if problem is not None:
        assert problem["may_have_been_applied"] == (outcomes[2] == "failed")
    assert make_split(1, "a.json", Part(2, 3, "A")) == {"position": 1, "place": "a.json", "label": "A", "parts": 3}
