"""The built-in models, which need no server: embeddings by word hashing, and a chat that quotes its input."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any, AsyncGenerator, Dict, List, Optional, Sequence, Tuple

from sekha.local.models import ChatRequest, Completion, ModelInfo, Purpose, count_tokens
from sekha.local.text import DIMENSION, best_sentences, hash_embedding, split_sentences

EMBEDDER_NAME = "local-hash"
CHAT_NAME = "local-extractive"
_OPENING = "I can only quote"
_MEMORY = re.compile(r"<memory>.*</memory>", re.DOTALL)
_MEMORY_MESSAGE = re.compile(r"<message\b[^>]*>\n(.*?)\n</message>", re.DOTALL)


class HashEmbedder:
    """An embedding without a model (see `sekha.local.text.hash_embedding`); it accepts any model name."""

    async def embed(
        self, texts: Sequence[str], model: Optional[str] = None, *, purpose: Optional[Purpose] = None
    ) -> Tuple[str, List[List[float]]]:
        vectors: List[List[float]] = []
        for text in texts:
            if vectors:
                await asyncio.sleep(0)  # do not block other requests
            vectors.append(hash_embedding(text))
        return EMBEDDER_NAME, vectors

    async def info(self) -> ModelInfo:
        return ModelInfo("local", "local", EMBEDDER_NAME, DIMENSION, EMBEDDER_NAME)

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


class ExtractiveModel:
    """A chat model that only quotes the messages of the request; it accepts any model name."""

    async def name(self, requested: Optional[str]) -> str:
        return CHAT_NAME

    async def complete(self, request: ChatRequest) -> Completion:
        pieces, finish_reason = _answer(request)
        text = "".join(pieces)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        return {"choices": [choice], "usage": count_tokens(request, text)}

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Completion, None]:
        pieces, finish_reason = _answer(request)
        for piece in pieces:
            yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        choice: Dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": finish_reason}
        yield {"choices": [choice], "usage": count_tokens(request, "".join(pieces))}

    async def info(self) -> ModelInfo:
        return ModelInfo("local", "local", CHAT_NAME)

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


def quote(messages: Sequence[Tuple[str, str]]) -> str:
    """Quote the sentences that answer the last user message of a chat best.

    The last user message is the question. The quotes are from a `<memory>` block that the client has added to it, or
    else from the rest of the chat. Sentences that an earlier answer has quoted are skipped.
    """
    last = max((index for index, (role, _) in enumerate(messages) if role == "user"), default=None)
    if last is None:
        return "I can only quote, and there is no question."
    content = messages[last][1]
    memories = [line for text in _MEMORY_MESSAGE.findall(content) for line in split_sentences(unescape(text))]
    question = " ".join(_MEMORY.sub("", content).split())
    others = [
        text
        for index, (role, text) in enumerate(messages)
        if index != last and role != "system" and not text.startswith(_OPENING)
    ]
    candidates = memories or [line for text in others for line in split_sentences(text)]
    quotes = best_sentences(question, candidates, min_similarity=0.0 if memories else 0.15)
    if not quotes:
        return f"{_OPENING} what I am given, and found nothing about: {question[:200]}".strip()
    return f"{_OPENING} what I was given: " + " ".join(f"“{sentence}”" for sentence in quotes)


def _answer(request: ChatRequest) -> Tuple[List[str], str]:
    """Return the words of the answer, each with its leading space, and the finish reason; each word is a token."""
    messages = [(str(message["role"]), str(message["content"])) for message in request.messages]
    words = re.findall(r"\s*\S+", quote(messages))
    kept = words[: request.max_tokens]
    return kept, "stop" if len(kept) == len(words) else "length"
