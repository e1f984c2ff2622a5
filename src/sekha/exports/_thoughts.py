"""Reasoning and tool calls of models in the text of an answer."""

from __future__ import annotations

import re

from sekha.exports._building import THINKING, TOOLS, ConversationBuilder

ATTRIBUTES = r"""(?:\s(?:"[^"]*"|'[^']*'|[^<>"'])*)?"""
"""The attributes of a tag, as part of a pattern."""
_BLOCK = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*$.*?(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(?P<details><details(?=\s[^>]{0,200}?\btype\s*=\s*[\"']?(?P<kind>reasoning|tool_calls|code_interpreter)\b)"
    rf"{ATTRIBUTES}>.*?(?:</details>|\Z))"
    r"|(?P<colons>^:::thinking[ \t]*$.*?(?:^:::[ \t]*$|\Z))",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
"""Code, which is kept, and blocks of reasoning; an unclosed block extends to the end of the text."""
_BEGIN = re.compile(r"\s*<(think|thinking|thought)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
"""Reasoning before an answer. Elsewhere, such a tag is part of the answer."""
_END = re.compile(r"^[ \t]*</think(?:ing)?>[ \t]*$", re.MULTILINE | re.IGNORECASE)
"""The end of reasoning that started in the prompt."""
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)


def without_thoughts(text: str, built: ConversationBuilder) -> str:
    """Remove reasoning and tool calls from the text of an answer, and count them.

    Reasoning is between ``<think>`` and ``</think>`` at the beginning, in ``<details type="reasoning">`` of Open WebUI,
    or between ``:::thinking`` and ``:::`` of LibreChat.
    """

    def replace(found: re.Match[str]) -> str:
        if found["fence"]:
            return found[0]
        is_tool = found["kind"] is not None and found["kind"].lower() != "reasoning"
        built.leave_out(TOOLS if is_tool else THINKING)
        return ""

    if "<details" in text or "<DETAILS" in text or ":::" in text:
        text = _BLOCK.sub(replace, text)
    while (thoughts := _BEGIN.match(text)) is not None:
        built.leave_out(THINKING)
        text = text[thoughts.end() :]
    end = _END.search(text)
    if end is not None and not _FENCE.search(text, 0, end.start()):
        built.leave_out(THINKING)
        text = text[end.end() :]
    return text
