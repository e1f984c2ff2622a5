"""What the bridge does with texts besides chatting: summaries, entities, importance.

The local stand-in picks sentences and words; any other model is asked in plain words.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from sekha.local import words
from sekha.local.models import ChatModel, ChatRequest, ExtractiveModel

_ENTITIES: TypeAdapter[Dict[str, List[str]]] = TypeAdapter(Dict[str, List[str]])
KINDS = ("people", "organizations", "technical_terms", "concepts")


async def summarize(chat: ChatModel, lines: Sequence[str], level: str, model: Optional[str] = None) -> str:
    """A summary of lines in a few sentences; ModelError if the model does not answer."""
    if isinstance(chat, ExtractiveModel):
        return words.summary("\n".join(lines))
    return await _ask(chat, f"Write a {level} summary of these messages in a few sentences:", "\n".join(lines), model)


async def extract(chat: ChatModel, text: str, model: Optional[str] = None) -> Dict[str, List[str]]:
    """Names and terms in a text, by kind; nothing where the model's answer is not the JSON it was asked for."""
    try:
        return _ENTITIES.validate_python(await extract_json(chat, text, model))
    except ValidationError:
        return {kind: [] for kind in KINDS}


async def extract_json(chat: ChatModel, text: str, model: Optional[str] = None) -> Any:
    """The same as the model says it: whatever JSON it answers, None if it is none."""
    if isinstance(chat, ExtractiveModel):
        return words.entities(text)
    task = f"Name the entities of this text as JSON, a list of strings for each of {', '.join(KINDS)}. Only JSON."
    answer = await _ask(chat, task, text, model)
    try:
        return from_json(answer[answer.find("{") : answer.rfind("}") + 1])
    except ValueError:
        return None


async def score(chat: ChatModel, text: str, model: Optional[str] = None) -> Tuple[float, str]:
    """How important a conversation is, 1 to 10, with the reason."""
    if isinstance(chat, ExtractiveModel):
        return words.importance(text)
    answer = await _ask(chat, "How important is this conversation, 1 to 10? Begin with the number.", text, model)
    number = re.search(r"\d+(?:\.\d+)?", answer)
    return (min(10.0, max(1.0, float(number.group()))) if number else 5.0), answer


async def _ask(chat: ChatModel, task: str, text: str, model: Optional[str]) -> str:
    return await chat.complete(ChatRequest([("user", f"{task}\n\n{text}")], model))
