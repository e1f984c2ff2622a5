"""Thoughts that stand in the text of an answer, and text that only looks like them."""

from __future__ import annotations

import re
from typing import Dict

import pytest

from sekha.exports._building import ConversationBuilder
from sekha.exports._thoughts import without_thoughts

REASONING = (
    '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n> Hm.\n</details>'
)
TOOL = (
    '<details type="tool_calls" done="true" arguments="&quot;x>y&quot;"><summary>Tool Executed</summary>18C</details>'
)
CODE = '<details type="code_interpreter" done="true" output="">\n```python\n1\n```\n</details>'
FENCED = f"Write it so:\n```html\n{REASONING}\n```\nDone."


@pytest.mark.parametrize(
    ("text", "shown", "left_out"),
    [
        (f"{REASONING}\nHello", "Hello", {"thinking": 1}),
        (f"{REASONING}Hello", "Hello", {"thinking": 1}),
        (f"{REASONING}\n{TOOL}\n{CODE}\nHello\n{REASONING}\nYou", "Hello\n\nYou", {"thinking": 2, "tools": 2}),
        ("<details type=reasoning>Hm.</details>Hello", "Hello", {"thinking": 1}),
        ("Hello\n<details type='reasoning' done='false'>\n> Hm", "Hello", {"thinking": 1}),
        (FENCED, FENCED, {}),
        ("~~~\n<think>\n~~~\nHello", "~~~\n<think>\n~~~\nHello", {}),
        ("<details><summary>More</summary>Hello</details>", "<details><summary>More</summary>Hello</details>", {}),
        ('<details type="note">Hello</details>', '<details type="note">Hello</details>', {}),
        ('`<details type="reasoning">` hides.', '`<details type="reasoning">` hides.', {}),
        ("<think>Hm.\n\nHm.</think>\n\nHello", "Hello", {"thinking": 1}),
        (" <THINKING>Hm.</THINKING><think></think>Hello", "Hello", {"thinking": 2}),
        ("<think>Hm.", "", {"thinking": 1}),
        ("Hm.\nHm.\n</think>\n\nHello", "Hello", {"thinking": 1}),
        ("Use <think> and </think> as tags.", "Use <think> and </think> as tags.", {}),
        ("```\n</think>\n```", "```\n</think>\n```", {}),
        (":::thinking\nHm.\n:::\n\nHello", "Hello", {"thinking": 1}),
        ("A :::thinking: B", "A :::thinking: B", {}),
        ("Hello", "Hello", {}),
        ("", "", {}),
    ],
)
def test_thoughts_are_left_out_and_counted(text: str, shown: str, left_out: Dict[str, int]) -> None:
    built = ConversationBuilder("", None)
    assert re.sub("\n{2,}", "\n\n", without_thoughts(text, built).strip("\n")) == shown
    assert built.left_out == left_out


@pytest.mark.parametrize(
    "begin",
    ['<details type="reasoning" ', '<details type="reasoning" a="', "<details ", ":::thinking\n", "<think>", "```\n"],
)
def test_tags_without_an_end_take_no_long_time(begin: str) -> None:
    built = ConversationBuilder("", None)
    assert len(without_thoughts(begin * 20_000, built)) <= len(begin) * 20_000  # it would take an hour, not a second
