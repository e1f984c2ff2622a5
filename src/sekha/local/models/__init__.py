"""The models of the local server: interfaces, built-in placeholders, and models on another server."""

from __future__ import annotations

from types import MappingProxyType
from typing import (
    Any,
    AsyncGenerator,
    Dict,
    List,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

Purpose = Literal["query", "passage"]
"""The purpose of an embedding: a search query, or a stored text."""
Completion = Mapping[str, Any]
"""A chat completion, or a chunk of a streamed one, in OpenAI format: `choices`, and other keys of the model."""
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class ModelError(Exception):
    """A model did not answer; the message has the model, its server and the reason.

    Args:
        message: Model, server and reason.
        status: Status of the bridge's response. 502 means that only the server of the model failed; after a 500,
            clients would pause calls to the bridge.
        retry_after: The `Retry-After` of the model's server.
        body: The error body of that server, unchanged.
    """

    def __init__(self, message: str, status: int = 502, retry_after: Optional[str] = None, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.body = body


class ModelSettingsError(ModelError):
    """A model cannot be used with the current settings of the local server."""


class StreamCutOff(ModelError):
    """A streamed answer ended early."""


class ChatRequest(NamedTuple):
    """A request to a chat model.

    `messages` are in OpenAI format; for the built-in placeholder, their contents are texts. `options` are the other
    keys of the request in OpenAI format, unchanged.
    """

    messages: Sequence[Mapping[str, Any]]
    model: Optional[str] = None
    temperature: Optional[float] = None
    max_tokens: Optional[int] = None
    options: Mapping[str, Any] = _NO_OPTIONS


class ModelInfo(NamedTuple):
    """The bridge's description of a model.

    `vectors` is the name of its vectors in the store: only vectors of the same name can be compared. It is the name
    that `Embedder.embed` returns with a purpose, and depends on the model and on the prefix of passages.
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
        """Return the name of the model that answered, and one vector for each text; raise ModelError if it fails.

        Some models expect a prefix that depends on the `purpose`; without a purpose there is none.
        """
        ...

    async def info(self) -> ModelInfo:
        """Describe the model; raise ModelError if it cannot be reached."""
        ...

    async def check(self) -> None:
        """Raise ModelSettingsError if the settings are known to be wrong."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class ChatModel(Protocol):
    """A model that answers a chat, whole or as a stream."""

    async def name(self, requested: Optional[str]) -> str:
        """Return the model name in an answer to a request for the model `requested`."""
        ...

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the answer, with a `message` in each choice; raise ModelError if there is none."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Completion, None]:
        """Yield chunks of the answer as they arrive, with a `delta` in each choice.

        Raise ModelError if there is no answer, and StreamCutOff if it ends early.
        """
        ...

    async def info(self) -> ModelInfo:
        """Describe the model; raise ModelError if it cannot be reached."""
        ...

    async def check(self) -> None:
        """Raise ModelSettingsError if the settings are known to be wrong."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def answer_text(answer: Completion) -> str:
    """Return the text of the first choice of a completion."""
    content = answer["choices"][0]["message"].get("content")
    return content if isinstance(content, str) else ""


def count_tokens(request: ChatRequest, answer: str) -> Dict[str, int]:
    """Count the tokens of a chat like the bridge: each word is a token."""
    prompt = sum(len(str(message["content"]).split()) for message in request.messages)
    completion = len(answer.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
