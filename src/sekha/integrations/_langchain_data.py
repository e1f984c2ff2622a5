"""What the adapter for LangChain decides: what belongs to a turn, where the block goes, what a document has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from sekha._api.turns import last_user_text, text_of, with_block, without_repeats
from sekha._api.validation import argument_error
from sekha.type_guards import extract_text
from sekha.types import SearchResult

_ROLES = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "ToolMessageChunk": "tool",
}
"""The roles for the types of LangChain's messages; all others are called alike."""

_OTHERS = ("tool_calls", "tool_call_id", "name")
_METADATA = ("score", "label", "timestamp", "conversation_id", "message_id")


class Turn(TypedDict):
    """A turn, as it stands in the state of the agent: plain data, so that every checkpointer can store it.

    Attributes:
        said: What the user has said, as messages with ``id``, ``role`` and ``content``.
        after: The id of the last message before the agent began; what comes after it belongs to the turn.
        block: The block of memories.
    """

    said: list[dict[str, Any]]
    after: str | None
    block: str


def begin_turn(messages: Sequence[Any]) -> tuple[str, Turn]:
    """Return what to look for in the memory, and the turn without its block.

    Args:
        messages: All messages of the agent. Those of the user after the last answer are new.
    """
    number = len(messages)
    while number and _is_said(messages[number - 1]):
        number -= 1
    said = [
        {"id": one.id, "role": "user", "content": text_of(one.content)}
        for one in messages[number:]
        if not _is_summary(one)
    ]
    query = last_user_text(said or [_plain(one) for one in messages])
    return query, {"said": said, "after": messages[-1].id if messages else None, "block": ""}


def put_block(messages: Sequence[Any], turn: Turn | None, human: Callable[[str], Any]) -> list[Any]:
    """Return the messages for a call of the model: with the block, as data, before the last one of the user.

    Args:
        messages: The messages of the call, without instructions.
        turn: The running turn; None if there is none.
        human: Makes a message of the user.
    """
    plain = [{**_plain(one), "original": one} for one in messages]
    put = with_block(plain, turn["block"] if turn else "")
    return [one["original"] if "original" in one else human(one["content"]) for one in put]


def end_turn(messages: Sequence[Any], turn: Turn | None) -> list[Mapping[str, object]]:
    """Return what to remember: what the user has said, and what came after it, but for messages that others put in.

    What the user has said is taken as it stands now, since middleware such as `PIIMiddleware` may have changed it. If
    it has been summarized away, it is taken as it was. What was sent again after a turn that failed is taken once.

    Args:
        messages: All messages of the agent.
        turn: The running turn; None if there is none.
    """
    if turn is None:
        return []
    ids = [one.id for one in messages]
    number = ids.index(turn["after"]) + 1 if turn["after"] in ids else 0  # else it has been summarized away
    now = {one.id: _plain(one) for one in messages}
    said = (now.get(one["id"], one) for one in turn["said"])
    return [*without_repeats(list(said)), *(_plain(one) for one in messages[number:] if not _is_said(one))]


def document_fields(result: SearchResult) -> dict[str, Any]:
    """Return the fields of the document for a result."""
    metadata = {name: value for name, value in result.items() if name in _METADATA}
    return {"page_content": extract_text(result["content"]), "id": result["message_id"], "metadata": metadata}


def check_k(k: object) -> int:
    """Return how many documents are wanted.

    Raises:
        SekhaValidationError: It is no number of documents; ``field`` is ``"k"``.
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise argument_error("k", "must be a whole number, 1 or more")
    return k


def _plain(message: Any) -> dict[str, Any]:
    others = {name: getattr(message, name) for name in _OTHERS if getattr(message, name, None)}
    return {"id": message.id, "role": _role(message), "content": message.content, **others}


def _role(message: Any) -> str:
    kind = str(getattr(message, "role", message.type))  # a ChatMessage has a role
    return _ROLES.get(kind, kind)


def _is_said(message: Any) -> bool:
    return _role(message) == "user"


def _is_summary(message: Any) -> bool:
    """Return whether `SummarizationMiddleware` has put a message in the place of others."""
    return bool(message.additional_kwargs.get("lc_source") == "summarization")
