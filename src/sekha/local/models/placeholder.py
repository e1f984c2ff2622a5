"""The two models of the local Sekha: one that places texts near each other, and one that answers by quoting."""

from __future__ import annotations

import re
from html import unescape
from typing import AsyncGenerator, Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from sekha.local import words

EMBEDDER_NAME = "local-hash"
CHAT_NAME = "local-extractive"
_MEMORY = re.compile(r"<memory>.*</memory>", re.DOTALL)
_MESSAGE = re.compile(r"<message\b[^>]*>\n(.*?)\n</message>", re.DOTALL)


class ModelError(Exception):
    """A model did not answer; the text says which, where and why."""


class ChatRequest(NamedTuple):
    """What a model is asked: messages as (role, content), and the limits of its answer."""

    messages: Sequence[Tuple[str, str]]
    model: Optional[str] = None
    temperature: Optional[float] = None
    max_tokens: Optional[int] = None


class ModelInfo(NamedTuple):
    """What the bridge tells about a model."""

    provider: str
    kind: str
    model: str
    dimension: Optional[int] = None


class Embedder(Protocol):
    """Turns texts into vectors of length 1."""

    async def embed(self, texts: Sequence[str], model: Optional[str] = None) -> Tuple[str, List[List[float]]]:
        """The name of the model that answered, and one vector for each text; ModelError if there is no answer."""
        ...

    async def info(self) -> ModelInfo:
        """What this is; ModelError if it cannot be reached."""
        ...

    async def close(self) -> None:
        """Frees its connections."""
        ...


class ChatModel(Protocol):
    """Answers a chat, whole or piece by piece."""

    async def name(self, wanted: Optional[str]) -> str:
        """How the model calls itself when `wanted` was asked for."""
        ...

    async def complete(self, request: ChatRequest) -> str:
        """The answer; ModelError if there is none."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        """The pieces of the answer as they come; ModelError if there is none or it breaks off."""
        ...

    async def info(self) -> ModelInfo:
        """What this is; ModelError if it cannot be reached."""
        ...

    async def close(self) -> None:
        """Frees its connections."""
        ...


class HashEmbedder:
    """An embedding without a model: see `sekha.local.words.vector`. Whatever model is asked for, it answers."""

    async def embed(self, texts: Sequence[str], model: Optional[str] = None) -> Tuple[str, List[List[float]]]:
        return EMBEDDER_NAME, [words.vector(text) for text in texts]

    async def info(self) -> ModelInfo:
        return ModelInfo("local", "local", EMBEDDER_NAME, words.DIMENSION)

    async def close(self) -> None:
        pass


class ExtractiveModel:
    """An honest stand-in for a model: it makes nothing up, it quotes what it was given. Any model name will do."""

    async def name(self, wanted: Optional[str]) -> str:
        return CHAT_NAME

    async def complete(self, request: ChatRequest) -> str:
        return "".join(_cut(quote(request.messages), request.max_tokens))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        for piece in _cut(quote(request.messages), request.max_tokens):
            yield piece

    async def info(self) -> ModelInfo:
        return ModelInfo("local", "local", CHAT_NAME)

    async def close(self) -> None:
        pass


def quote(messages: Sequence[Tuple[str, str]]) -> str:
    """
    The sentences of a chat that answer its last user message best, quoted.

    The last user message is the question; what the client has put into it as `<memory>` is not asked but quoted.
    """
    asked = max((place for place, (role, _) in enumerate(messages) if role == "user"), default=None)
    if asked is None:
        return "I can only quote, and nobody has asked anything."
    content = messages[asked][1]
    remembered = [line for text in _MESSAGE.findall(content) for line in words.sentences(unescape(text))]
    question = " ".join(_MEMORY.sub("", content).split())
    others = [text for place, (role, text) in enumerate(messages) if place != asked and role != "system"]
    given = [line for text in others for line in words.sentences(text)]
    found = words.best_sentences(question, [*remembered, *given], at_least=0.0 if remembered else 0.15)
    if not found:
        return f"I can only quote what I am given, and found nothing about: {question[:200]}".strip()
    return "I can only quote what I was given: " + " ".join(f"“{sentence}”" for sentence in found)


def _cut(text: str, max_tokens: Optional[int]) -> List[str]:
    """A text in words, each with the space before it; a word counts as a token."""
    return re.findall(r"\s*\S+", text)[:max_tokens]


def usage(request: ChatRequest, answer: str) -> Dict[str, int]:
    """Tokens of a chat as the bridge counts them: words."""
    prompt = sum(len(content.split()) for _, content in request.messages)
    completion = len(answer.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
