"""The models behind the local Sekha: what each must do, the built-in placeholders, and those on another server."""

from __future__ import annotations

from typing import AsyncGenerator, Dict, List, Literal, NamedTuple, Optional, Protocol, Sequence, Tuple

Purpose = Literal["query", "passage"]
"""What a text is embedded for: to be searched for, or to be stored."""


class ModelError(Exception):
    """A model did not answer; the message says which, where and why."""


class ChatRequest(NamedTuple):
    """A request to a chat model: messages as (role, content), and the limits of its answer."""

    messages: Sequence[Tuple[str, str]]
    model: Optional[str] = None
    temperature: Optional[float] = None
    max_tokens: Optional[int] = None


class ModelInfo(NamedTuple):
    """The bridge's description of a model.

    `vectors` is the name that its vectors are kept under: only those of the same name can be compared. It is what
    `Embedder.embed` returns for a purpose: a change of the passages' prefix changes it, as another model does.
    """

    provider: str
    kind: str
    model: str
    dimension: Optional[int] = None
    vectors: str = ""


class Embedder(Protocol):
    """A model that turns texts into vectors of length 1."""

    async def embed(
        self, texts: Sequence[str], model: Optional[str] = None, *, purpose: Optional[Purpose] = None
    ) -> Tuple[str, List[List[float]]]:
        """Return the name of the model that answered, and one vector for each text; raise ModelError without one.

        Some models want a prefix that differs with the `purpose`; without a purpose there is none.
        """
        ...

    async def info(self) -> ModelInfo:
        """Describe the model; raise ModelError if it cannot be reached."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class ChatModel(Protocol):
    """A model that answers a chat, whole or as a stream."""

    async def name(self, requested: Optional[str]) -> str:
        """Return the name that an answer shows when the model `requested` was asked for."""
        ...

    async def complete(self, request: ChatRequest) -> str:
        """Return the answer; raise ModelError if there is none."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        """Yield the pieces of the answer as they arrive; raise ModelError if there is none or it ends early."""
        ...

    async def info(self) -> ModelInfo:
        """Describe the model; raise ModelError if it cannot be reached."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


def count_tokens(request: ChatRequest, answer: str) -> Dict[str, int]:
    """Count the tokens of a chat as the bridge does: a word is a token."""
    prompt = sum(len(content.split()) for _, content in request.messages)
    completion = len(answer.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
