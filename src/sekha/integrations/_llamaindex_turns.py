"""The turns of LlamaIndex's chat memory: what is asked and recalled, where the block goes, and what is remembered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sekha._api.prompts import remove_blocks, to_memory, without_last_quote
from sekha._api.turns import with_block, without_repeats
from sekha.memory import AsyncMemory, Memory
from sekha.types import SearchResult

from ._shared import async_call, check_memory, for_session, recall_options

_ROLES = {"chatbot": "assistant", "model": "assistant"}
_REASONING = re.compile(r"\A(?:Thought: .*\n)?Thought: .*?\nAnswer: ", re.DOTALL)
"""What a `ReActAgent` writes before its answer: thoughts, calls of tools and their results."""
_CODE_RESULT = "Result of executing the code given:"
"""How a `CodeActAgent` begins the result of a program, as a message of the user; the one before it is the program."""
_CODE = "code_result"  # a role that is not remembered
_IDS = ("conversation_id", "message_id")
_MAX_SESSIONS = 1000


class Turns:
    """The turns of many sessions: the memory is asked once in each.

    Args:
        memory: The memory of a user.
        options: Options of its blocks.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.
    """

    def __init__(self, memory: AsyncMemory | Memory, **options: object) -> None:
        self.memory: AsyncMemory | Memory = check_memory(memory, AsyncMemory, Memory)
        self._options = recall_options(**options)
        self._recalled: dict[object, tuple[tuple[int, str], str]] = {}

    async def block(self, messages: Sequence[Any], session: str | None) -> str:
        """Return the block for the last question of the user, and the same one until there is another.

        Args:
            messages: Messages of the chat.
            session: The session; without one, each call asks the memory.
        """
        question = find_question(messages)
        known, block = self._recalled.get(session, (None, ""))
        if known != question:
            block = await async_call(for_session(self.memory, session), "block", question[1], **self._options)
            self.end(session)
            if session is not None:
                self._recalled[session] = (question, block)
        return block

    def end(self, session: str | None) -> None:
        """Forget what was recalled in a session; if there are very many, also in the oldest one."""
        self._recalled.pop(session, None)
        if len(self._recalled) >= _MAX_SESSIONS:
            self._recalled.pop(next(iter(self._recalled)), None)

    async def remember(self, messages: Sequence[Any], session: str | None = None) -> None:
        """Remember messages.

        Args:
            messages: What was said.
            session: The session; by default the one that LlamaIndex has noted in the messages.
        """
        if messages:
            noted = session or messages[0].additional_kwargs.get("session_id")
            await async_call(for_session(self.memory, noted), "remember", to_remember(messages))


def find_question(messages: Sequence[Any]) -> tuple[int, str]:
    """Return the last text of the user, and where it stands first in its turn.

    Agents ask the chat memory several times in a turn, and add the text again behind the calls of tools.

    Args:
        messages: Messages of the chat.

    Returns:
        The position, or -1 if the user has said nothing; and the text, which is empty for an image alone.
    """
    position, question = -1, ""
    for i in range(len(messages) - 1, -1, -1):
        if role_of(messages[i]) == "user":
            text = messages[i].content or ""
            if position < 0 or text == question:
                position, question = i, text
        elif position >= 0 and _is_answer(messages[i]):
            break
    return position, question


def count_answered(messages: Sequence[Any]) -> int:
    """Return how many of the messages are up to the last answer, which counts; 0 if there is none."""
    return next((i for i in range(len(messages), 0, -1) if _is_answer(messages[i - 1])), 0)


def to_remember(messages: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Return messages as a memory accepts them; of the same one twice in a row, which was tried again, only one."""
    said: list[dict[str, Any]] = []
    roles = [*map(role_of, messages), ""]
    for message, role, following in zip(messages, roles, roles[1:]):
        content = message.content or ""
        if role == "assistant":
            content = "" if following == _CODE else _REASONING.sub("", content)
        said.append({"role": role, "content": content})
    return without_repeats(said)


def place_block(messages: Sequence[Any], user: Callable[[str], Any]) -> list[Any]:
    """Return messages with the block of memories that is among them before the last one of the user.

    Args:
        messages: The messages for a model, as LlamaIndex has put them together.
        user: Makes a message of the user.
    """
    plain = [{"role": role_of(one), "content": one.content, "original": one} for one in messages]
    block = next((one["content"] for one in plain if one["role"] == "user" and _is_block(one["content"])), "")
    return [one["original"] if "original" in one else user(one["content"]) for one in with_block(plain, block)]


def shorten_block(block: str, tokens: int, tokenize: Callable[[str], Sequence[object]]) -> str:
    """Return a block without so many of its last results that it is shorter by some tokens; empty if none is left."""
    most = len(tokenize(block)) - tokens
    while block and len(tokenize(block)) > most:
        block = without_last_quote(block)
    return block


def to_node(result: SearchResult) -> dict[str, Any]:
    """Return the fields of a `TextNode` for a result of a recall."""
    memory: Any = to_memory(result)
    metadata = {name: memory[name] for name in ("role", "label", "timestamp", *_IDS) if memory.get(name)}
    hidden = {"excluded_llm_metadata_keys": list(_IDS), "excluded_embed_metadata_keys": list(metadata)}
    return {"id_": memory["message_id"], "text": memory["content"], "metadata": metadata, **hidden}


def role_of(message: Any) -> str:
    """Return the role of a message, as others call it."""
    role = str(message.role.value)
    if role == "user" and (message.content or "").startswith(_CODE_RESULT):
        return _CODE
    return _ROLES.get(role, role)


def _is_answer(message: Any) -> bool:
    """Return whether a message ends a turn: text of the assistant, and no call of a tool."""
    calls = any(getattr(block, "block_type", "") == "tool_call" for block in message.blocks)
    others = any(message.additional_kwargs.get(name) for name in ("tool_calls", "function_call"))
    return role_of(message) == "assistant" and bool((message.content or "").strip()) and not calls and not others


def _is_block(text: str | None) -> bool:
    return bool(text and text.strip()) and not remove_blocks(text or "")
