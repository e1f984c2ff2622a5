"""Memory for OpenAI's client library.

Install the extra: pip install 'sekha-python-sdk[openai]'

- Supported: ``create``, ``parse`` and ``stream`` of ``chat.completions`` and ``responses``, also those of ``beta``,
  with ``stream=True``, and with ``with_raw_response``.
- Rejected: ``with_streaming_response`` of these; ``n`` above 1; ``previous_response_id``, ``conversation``,
  ``background``, and a ``prompt`` without ``input``; and all other calls of a model in a chat: ``completions``,
  ``batches``, threads, agents, ``realtime``, ``live``, ``responses.connect``, and unknown POST requests.
- Passed through unchanged: all calls that are not part of a chat, such as ``embeddings``, ``files``, ``models``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Optional, TypeVar, Union

from sekha._api.turns import text_of
from sekha._api.validation import argument_error
from sekha._utils.public import class_name
from sekha.memory import AsyncMemory, Memory

from ._chat_calls import Endpoint, Library, Reply, field_of
from ._chat_clients import add_memory
from ._extra import extra_imports

with extra_imports("openai"):
    from openai import AsyncOpenAI, OpenAI

__all__ = ["with_memory"]

Client = TypeVar("Client", bound=Union[OpenAI, AsyncOpenAI])

_OTHERS: Final = re.compile(
    "/(assistants|audio|content_provenance_checks|containers|conversations|decisions|embeddings|evals|files|fine_tuning"
    "|images|moderations|organization|projects|safety|skills|uploads|vaults|vector_stores|videos|webhook_endpoints)(/.*)?"
    "|/responses/(compact|input_tokens|[^/]+/cancel)|/chat/completions/[^/]+|/batches/[^/]+/cancel"
)
_CONNECTIONS: Final = (
    *("responses.connect", "beta.responses.connect", "realtime.connect", "beta.realtime.connect"),
    *("realtime.translations.connect", "live.connect", "live.sideband.connect", "live.forks.connect"),
)
_HISTORY: Final = "OpenAI stores its history, to which no memories may be added: pass the messages as input"
_REFUSED: Final = {
    "previous_response_id": _HISTORY,
    "conversation": _HISTORY,
    "background": "the answer is returned later",
}


def with_memory(
    client: Client,
    memory: Union[Memory, AsyncMemory],
    *,
    limit: int = 5,
    min_score: Optional[float] = None,
    max_tokens: int = 1000,
) -> Client:
    """Return a copy of a client that recalls before it calls a model, and stores the turn.

    Memories are added before the last user message, and not to your own list. The turn is stored when the model has
    answered; for a stream, before its last chunk. The copy shares the connections of your client, which is not changed;
    closing the copy closes nothing.

    Args:
        client: An ``OpenAI`` or ``AsyncOpenAI`` client, or a subclass such as ``AzureOpenAI``.
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
        from openai import OpenAI
        from sekha.integrations.openai import with_memory
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann", session="s1"))
        with OpenAI(base_url="http://localhost:5001/v1", api_key="sk-your-api-key") as mine:
            chat = [{"role": "user", "content": "When do we ship?"}]
            with_memory(mine, memory).chat.completions.create(model="gpt-5", messages=chat)
        print(len(memory.in_session("s2").recall("ship")) > 0)  # True
        ```
    """
    if not isinstance(client, (OpenAI, AsyncOpenAI)):
        raise argument_error("client", f"must be an OpenAI or AsyncOpenAI, not {class_name(client)}")
    return add_memory(client, memory, _LIBRARY, limit=limit, min_score=min_score, max_tokens=max_tokens)


def _is_completion(body: Mapping[str, Any]) -> bool:
    if (body.get("n") or 1) > 1:
        raise _LIBRARY.refuse("n", "it returns several answers, and it is unknown which one to store")
    return True


def _read_completion(completion: object) -> Reply | None:
    choice = field_of(completion, "choices", 0)
    message = field_of(choice, "message")
    return None if message is None else _reply([_said(message)], field_of(choice, "finish_reason"))


def _completion_reader() -> Callable[[Any], Reply | None]:
    said: list[tuple[str, bool]] = []

    def read(chunk: object) -> Reply | None:
        choice = field_of(chunk, "choices", 0)
        said.append(_said(field_of(choice, "delta")))
        reason = field_of(choice, "finish_reason")
        return None if reason is None else _reply(said, reason)

    return read


def _said(message: object) -> tuple[str, bool]:
    """Return the text of a message or of one of its parts, and whether it calls tools."""
    text = text_of(field_of(message, "content")) or field_of(message, "audio", "transcript") or ""
    return text, bool(field_of(message, "tool_calls") or field_of(message, "function_call"))


def _reply(said: Sequence[tuple[str, bool]], reason: str | None) -> Reply:
    text = "" if reason == "content_filter" else "".join(text for text, _ in said)
    return Reply(text, is_final=not any(calls for _, calls in said))


def _is_response(body: Mapping[str, Any]) -> bool:
    for name, why in _REFUSED.items():
        if body.get(name):
            raise _LIBRARY.refuse(name, why)
    if body.get("prompt") and not body.get("input"):
        raise _LIBRARY.refuse("prompt", "without input, the message of the user is unknown")
    return True


def _read_response(response: object) -> Reply | None:
    if field_of(response, "status") not in ("completed", "incomplete", None):
        return None
    items = [item for item in field_of(response, "output") or () if field_of(item, "type") != "reasoning"]
    messages = [item for item in items if field_of(item, "type") == "message"]
    parts = [field_of(part, "text") or "" for item in messages for part in field_of(item, "content") or ()]
    return Reply("".join(parts), is_final=bool(messages) and items[-1] is messages[-1])


def _read_event(event: object) -> Reply | None:
    is_last = field_of(event, "type") in ("response.completed", "response.incomplete")
    return _read_response(field_of(event, "response")) if is_last else None


_LIBRARY: Final = Library(
    covered="chat.completions and responses",
    endpoints={
        "/chat/completions": Endpoint("messages", _is_completion, _read_completion, _completion_reader),
        "/responses": Endpoint("input", _is_response, _read_response, lambda: _read_event),
    },
    others=_OTHERS,
    connections=_CONNECTIONS,
)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
