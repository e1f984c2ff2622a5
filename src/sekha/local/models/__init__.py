"""The models behind the local Sekha: what each must do, the built-in placeholders, and those on another server."""

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
"""What a text is embedded for: to be searched for, or to be stored."""
Completion = Mapping[str, Any]
"""A chat completion, or a chunk of a streamed one, in OpenAI's form: `choices`, and what else the model says."""
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class ModelError(Exception):
    """A model did not answer; the message says which, where and why.

    Args:
        message: Which model, where, and why.
        status: What the bridge answers. 502 says that the bridge is well and the server behind it is not; after a 500,
            clients would spare the bridge.
        retry_after: The `Retry-After` of the model's server.
        body: What that server sent with its refusal, as it is.
    """

    def __init__(self, message: str, status: int = 502, retry_after: Optional[str] = None, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.body = body


class ModelSettingsError(ModelError):
    """A model cannot be used until the settings of the local Sekha change."""


class StreamCutOff(ModelError):
    """A streamed answer ended before its end."""


class ChatRequest(NamedTuple):
    """A request to a chat model.

    `messages` have OpenAI's form; for the built-in placeholder, their contents are texts. `options` are further keys of
    the request in OpenAI's form, as they were given.
    """

    messages: Sequence[Mapping[str, Any]]
    model: Optional[str] = None
    temperature: Optional[float] = None
    max_tokens: Optional[int] = None
    options: Mapping[str, Any] = _NO_OPTIONS


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

    async def check(self) -> None:
        """Raise ModelSettingsError if it is known already that the settings cannot work."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class ChatModel(Protocol):
    """A model that answers a chat, whole or as a stream."""

    async def name(self, requested: Optional[str]) -> str:
        """Return the name that an answer shows when the model `requested` was asked for."""
        ...

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the answer, with a `message` in each choice; raise ModelError if there is none."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Completion, None]:
        """Yield chunks of the answer as they arrive, with a `delta` in each choice.

        It raises ModelError if there is no answer, and StreamCutOff if it ends before its end.
        """
        ...

    async def info(self) -> ModelInfo:
        """Describe the model; raise ModelError if it cannot be reached."""
        ...

    async def check(self) -> None:
        """Raise ModelSettingsError if it is known already that the settings cannot work."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


def answer_text(answer: Completion) -> str:
    """Return the text of the first choice of a whole completion."""
    content = answer["choices"][0]["message"].get("content")
    return content if isinstance(content, str) else ""


def count_tokens(request: ChatRequest, answer: str) -> Dict[str, int]:
    """Count the tokens of a chat as the bridge does: a word is a token."""
    prompt = sum(len(str(message["content"]).split()) for message in request.messages)
    completion = len(answer.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
