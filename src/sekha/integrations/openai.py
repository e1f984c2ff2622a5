"""The client library of OpenAI with a memory.

Install the extra: pip install 'sekha-python-sdk[openai]'

- Covered: ``create``, ``parse`` and ``stream`` of ``chat.completions`` and ``responses``, also those of ``beta``, with
  ``stream=True``, and with ``with_raw_response``.
- Refused: ``with_streaming_response`` of these; ``n`` above 1; ``previous_response_id``, ``conversation`` and
  ``background``; a ``prompt`` without ``input``; and whatever else asks a model in a chat: ``completions``, ``batches``,
  assistants and threads, agents, ``realtime``, ``live``, ``responses.connect``, and POST requests that are not known.
- Passed on as they are: all that has nothing to do with a chat, such as ``embeddings``, ``files``, ``models``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, Union

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
_HISTORY: Final = "its history is kept by OpenAI, and memories must not get into it: pass the messages as input"


def with_memory(
    client: Client,
    memory: Union[Memory, AsyncMemory],
    *,
    limit: int = 5,
    min_score: float | None = None,
    max_tokens: int = 1000,
) -> Client:
    """Return a copy of a client that recalls before it asks a model, and remembers the turn.

    Memories go into the request before the last message of the user, and not into your messages. The turn is remembered
    when the model has given its answer, with a stream before its last chunk; not if it has called tools, or failed.
    The copy shares the connections of your client, which stays as it is. Closing the copy closes nothing.

    Args:
        client: An ``OpenAI``, ``AsyncOpenAI``, or a client that inherits from one, such as ``AzureOpenAI``.
        memory: Whose memory it is. An async client uses a `Memory` in a worker thread; a blocking one needs a `Memory`.
        limit: Memories at most, as for `Memory.block`.
        min_score: Score of a memory at least, 0 to 1; default: any.
        max_tokens: Tokens of all memories at most.

    Raises:
        SekhaValidationError: An argument cannot be used; ``field`` names it. The copy raises it for what is not
            covered, before anything is sent.

    Example:
        ```python
        from openai import OpenAI
        from sekha.integrations.openai import with_memory
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann", session="s1"))
        model = with_memory(OpenAI(base_url=f"{bridge_url}/v1", api_key="sk-your-api-key"), memory)
        chat = [{"role": "user", "content": "When do we ship?"}]
        answer = model.chat.completions.create(model="a-model", messages=chat)
        print(len(memory.in_session("s2").recall("ship")) > 0)  # True
        ```
    """
    if not isinstance(client, (OpenAI, AsyncOpenAI)):
        raise argument_error("client", f"must be an OpenAI or AsyncOpenAI, not {class_name(client)}")
    return add_memory(client, memory, _LIBRARY, limit=limit, min_score=min_score, max_tokens=max_tokens)


def _takes_completion(body: Mapping[str, Any]) -> bool:
    if (body.get("n") or 1) > 1:
        raise _LIBRARY.refuse("n", "it is not known which of several answers is meant")
    return True


def _read_completion(completion: object) -> Reply | None:
    choice = _first(field_of(completion, "choices"))
    message = field_of(choice, "message")
    if message is None:
        return None
    return _reply(field_of(choice, "finish_reason"), _said(message), _has_calls(message))


def _completion_reader() -> Callable[[Any], Reply | None]:
    said: list[str] = []
    calls: list[bool] = []

    def read(chunk: object) -> Reply | None:
        choice = _first(field_of(chunk, "choices"))
        delta, reason = field_of(choice, "delta"), field_of(choice, "finish_reason")
        said.append(_said(delta))
        calls.append(_has_calls(delta))
        return None if reason is None else _reply(reason, "".join(said), any(calls))

    return read


def _said(message: object) -> str:
    return text_of(field_of(message, "content")) or field_of(message, "audio", "transcript") or ""


def _has_calls(message: object) -> bool:
    return bool(field_of(message, "tool_calls") or field_of(message, "function_call"))


def _reply(reason: str | None, text: str, has_calls: bool) -> Reply:
    goes_on = has_calls or reason in ("tool_calls", "function_call")
    return Reply("" if reason == "content_filter" else text, is_final=not goes_on)


def _takes_response(body: Mapping[str, Any]) -> bool:
    for name in ("previous_response_id", "conversation"):
        if body.get(name):
            raise _LIBRARY.refuse(name, _HISTORY)
    if body.get("background"):
        raise _LIBRARY.refuse("background", "the answer would come to nobody who remembers it")
    if body.get("prompt") and not body.get("input"):
        raise _LIBRARY.refuse("prompt", "without input, it is not known what the user has said")
    return True


def _read_response(response: object) -> Reply | None:
    if field_of(response, "status") not in ("completed", "incomplete", None):
        return None
    items = [item for item in field_of(response, "output") or () if field_of(item, "type") != "reasoning"]
    messages = [item for item in items if field_of(item, "type") == "message"]
    parts = [field_of(part, "text") or "" for item in messages for part in field_of(item, "content") or ()]
    return Reply("".join(parts), is_final=bool(messages) and items[-1] is messages[-1])


def _read_event(event: object) -> Reply | None:
    ends = field_of(event, "type") in ("response.completed", "response.incomplete")
    return _read_response(field_of(event, "response")) if ends else None


def _first(values: Any) -> Any:
    return values[0] if values else None


_LIBRARY: Final = Library(
    covered="chat.completions and responses",
    endpoints={
        "/chat/completions": Endpoint("messages", _takes_completion, _read_completion, _completion_reader),
        "/responses": Endpoint("input", _takes_response, _read_response, lambda: _read_event),
    },
    others=_OTHERS,
    connections=_CONNECTIONS,
)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
