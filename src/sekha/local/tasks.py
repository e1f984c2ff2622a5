"""Tasks of the bridge on texts: summaries, entities, importance.

The built-in placeholder picks sentences and words; any other model gets a prompt.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from sekha.local.models import ChatModel, ChatRequest, answer_text
from sekha.local.models.placeholder import ExtractiveModel
from sekha.local.text import extract_entities, extractive_summary, score_importance

_ENTITIES_ADAPTER: TypeAdapter[Dict[str, List[str]]] = TypeAdapter(Dict[str, List[str]])
ENTITIES = ("people", "organizations", "technical_terms", "concepts")


async def summarize(chat: ChatModel, lines: Sequence[str], level: str, model: Optional[str] = None) -> str:
    """Summarize lines in a few sentences; raise ModelError if the model is not available."""
    if isinstance(chat, ExtractiveModel):
        return extractive_summary("\n".join(lines))
    return await _prompt(
        chat, f"Write a {level} summary of these messages in a few sentences:", "\n".join(lines), model
    )


async def extract(chat: ChatModel, text: str, model: Optional[str] = None) -> Dict[str, List[str]]:
    """Return names and terms of a text, by kind; none if the answer of the model is not the requested JSON."""
    try:
        return _ENTITIES_ADAPTER.validate_python(await extract_json(chat, text, model))
    except ValidationError:
        return {kind: [] for kind in ENTITIES}


async def extract_json(chat: ChatModel, text: str, model: Optional[str] = None) -> Any:
    """Return the JSON in the answer of a model without validation; None if it is not JSON."""
    if isinstance(chat, ExtractiveModel):
        return extract_entities(text)
    task = f"Name the entities of this text as JSON, a list of strings for each of {', '.join(ENTITIES)}. Only JSON."
    answer = await _prompt(chat, task, text, model)
    try:
        return from_json(answer[answer.find("{") : answer.rfind("}") + 1])
    except ValueError:
        return None


async def score(chat: ChatModel, text: str, model: Optional[str] = None) -> Tuple[float, str]:
    """Score the importance of a conversation from 1 to 10, with the reason."""
    if isinstance(chat, ExtractiveModel):
        return score_importance(text)
    answer = await _prompt(chat, "How important is this conversation, 1 to 10? Begin with the number.", text, model)
    number = re.search(r"\d+(?:\.\d+)?", answer)
    return (min(10.0, max(1.0, float(number.group()))) if number else 5.0), answer


async def _prompt(chat: ChatModel, task: str, text: str, model: Optional[str]) -> str:
    messages = [{"role": "user", "content": f"{task}\n\n{text}"}]
    return answer_text(await chat.complete(ChatRequest(messages, model)))
