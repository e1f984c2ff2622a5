"""Memory for Anthropic's client library.

Install the extra: pip install 'sekha-python-sdk[anthropic]'

- Supported: ``create``, ``parse`` and ``stream`` of ``messages`` and ``beta.messages``, with ``stream=True``, with
  ``with_raw_response``, and ``beta.messages.tool_runner`` with ``thread=False`` (older versions have no ``thread``).
- Rejected: ``with_streaming_response`` of these; ``thread``; and all other calls of a model in a chat: ``completions``,
  ``messages.batches``, ``beta.sessions``, ``beta.deployments``, and unknown POST requests.
- Passed through unchanged: all calls that are not part of a chat, such as ``models``, ``files``, and
  ``messages.count_tokens``, which counts without memories.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Optional, TypeVar, Union

from sekha._api.validation import argument_error
from sekha._utils.public import class_name
from sekha.memory import AsyncMemory, Memory

from ._chat_calls import Endpoint, Library, Reply, field_of
from ._chat_clients import add_memory
from ._extra import extra_imports

with extra_imports("anthropic"):
    import anthropic
    from anthropic import (
        Anthropic,
        AnthropicBedrock,
        AnthropicVertex,
        AsyncAnthropic,
        AsyncAnthropicBedrock,
        AsyncAnthropicVertex,
    )

__all__ = ["with_memory"]

Client = TypeVar(
    "Client",
    bound=Union[
        Anthropic, AsyncAnthropic, AnthropicBedrock, AsyncAnthropicBedrock, AnthropicVertex, AsyncAnthropicVertex
    ],
)

_OTHERS: Final = re.compile(
    "/v1/((agents|compliance|dreams|environments|files|memory_stores|organizations|skills|tunnels|user_profiles|vaults)"
    "(/.*)?|messages/count_tokens|messages/batches/[^/]+/cancel)"
)
_GOES_ON: Final = ("tool_use", "pause_turn", "compaction")


def with_memory(
    client: Client,
    memory: Union[Memory, AsyncMemory],
    *,
    limit: int = 5,
    min_score: Optional[float] = None,
    max_tokens: int = 1000,
) -> Client:
    """Return a copy of a client that recalls before it calls a model, and stores the turn.

    Memories are added before the last user message, never to ``system``, and not to your own list. The turn is stored
    when the model has answered; for a stream, before its last event. The copy shares the connections of your client,
    which is not changed; closing the copy closes nothing.

    Args:
        client: An ``Anthropic``, ``AsyncAnthropic``, or one of the clients for Bedrock, Vertex and other clouds.
        memory: The memory of the user. A sync client requires a `Memory`; an async client accepts both, and uses a
            `Memory` in a worker thread.
        limit: Maximum number of memories, as for `Memory.block`.
        min_score: Minimum score of a memory, 0 to 1; default: none.
        max_tokens: Maximum number of tokens of all memories.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it. The copy raises the same error for unsupported
            calls.

    Example:
        ```python
        from anthropic import Anthropic
        from sekha.integrations.anthropic import with_memory
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann", session="s1"))
        with Anthropic(api_key="sk-ant-your-api-key") as mine:
            model = with_memory(mine, memory)  # then model.messages.create(...)
        print(type(model).__name__)  # Anthropic
        ```
    """
    known = [
        one
        for name in dir(anthropic)
        if re.match("(Async)?Anthropic", name)
        if isinstance(one := getattr(anthropic, name), type) and hasattr(one, "post")
    ]
    if not isinstance(client, tuple(known)):
        raise argument_error("client", f"must be an Anthropic or AsyncAnthropic, not {class_name(client)}")
    return add_memory(client, memory, _LIBRARY, limit=limit, min_score=min_score, max_tokens=max_tokens)


def _is_turn(body: Mapping[str, Any]) -> bool:
    if body.get("thread"):
        raise _LIBRARY.refuse(
            "thread",
            "Anthropic stores its history, to which no memories may be added: pass all messages, and thread=False to "
            "a tool runner",
        )
    return not body.get("compaction")  # what is asked for is a summary, which becomes part of the history


def _read(message: object) -> Reply | None:
    content = field_of(message, "content")
    if content is None:
        return None
    text = "".join(field_of(block, "text") or "" for block in content if field_of(block, "type") == "text")
    return _reply(field_of(message, "stop_reason"), text)


def _reader() -> Callable[[Any], Reply | None]:
    said: list[str] = []
    reasons: list[str] = []

    def read(event: object) -> Reply | None:
        if field_of(event, "delta", "type") == "text_delta":
            said.append(field_of(event, "delta", "text") or "")
        elif field_of(event, "type") == "message_delta":
            reasons.append(field_of(event, "delta", "stop_reason") or "")
        return (
            _reply(reasons[-1] if reasons else "", "".join(said)) if field_of(event, "type") == "message_stop" else None
        )

    return read


def _reply(reason: str | None, text: str) -> Reply:
    return Reply("" if reason == "refusal" else text, is_final=reason not in _GOES_ON)


_LIBRARY: Final = Library(
    covered="messages.create, parse and stream",
    endpoints={"/v1/messages": Endpoint("messages", _is_turn, _read, _reader)},
    others=_OTHERS,
)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
