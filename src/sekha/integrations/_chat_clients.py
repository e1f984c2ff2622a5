"""What the client libraries of OpenAI and Anthropic have in common: a copy of a client with a memory.

All their methods that ask a model end in ``client.post(path, body=...)``, so that is where the memory is put: it holds
for every helper on top, and what it does not cover is refused there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Callable, NamedTuple, TypeVar, cast

from anyio import to_thread

from sekha._api.turns import name_turn
from sekha._api.validation import argument_error
from sekha._utils.frames import warn_user
from sekha.errors import SekhaValidationError
from sekha.memory import AsyncMemory, AsyncTurn, Memory, Turn

from ._shared import check_memory

T = TypeVar("T")
MAX_OPEN_TURNS = 1000
"""Turns in which the model has called tools and not been called again; the oldest go first."""
_RAW_HEADER = "x-stainless-raw-response"
_POSITION = "sekha_position"
"""A key of the copies of messages: where the message stands in the request."""


class Reply(NamedTuple):
    """What a model has answered.

    Attributes:
        text: The text.
        is_final: Whether the turn ends with it; if not, the model has called tools, or will go on.
    """

    text: str
    is_final: bool


class Endpoint(NamedTuple):
    """How chats stand in the requests and answers of one path.

    Attributes:
        chat: The key of the messages in the body.
        takes: Returns whether a body is a turn of a chat; raises the error for one that is not covered.
        read: Reads an answer; None if it is not complete.
        reader: Returns a function that is called with each chunk of a stream, and returns the reply when it is complete.
    """

    chat: str
    takes: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Any], Reply | None]
    reader: Callable[[], Callable[[Any], Reply | None]]


class Library(NamedTuple):
    """What a client library can do.

    Attributes:
        covered: What is covered, as errors name it.
        endpoints: The paths of chats.
        others: The paths of POST requests that have nothing to do with a chat.
        connections: Methods that talk to a model in another way than by POST requests.
    """

    covered: str
    endpoints: Mapping[str, Endpoint]
    others: re.Pattern[str]
    connections: tuple[str, ...] = ()

    def refuse(self, what: str, why: str = "") -> SekhaValidationError:
        """Return the error for what is not covered."""
        covered = f"a client with memory covers {self.covered}"
        return argument_error(what, f"{why or 'is not covered'}; {covered}. Use your client without memory for others")


class _Call(NamedTuple):
    """A call of the model.

    Attributes:
        endpoint: Where it goes.
        request: The keywords of ``post``.
        messages: The messages as they are sent.
        copies: The same as plain data, each with its position.
        key: What the turn is called.
        turn: The turn.
    """

    endpoint: Endpoint
    request: dict[str, Any]
    messages: list[Any]
    copies: list[dict[str, Any]]
    key: str
    turn: Any

    def with_memory(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the keywords with the block that is in the copies; the messages themselves stay as they are."""
        messages = [self.messages[one[_POSITION]] if _POSITION in one else one for one in found]
        chat, options = self.endpoint.chat, self.request.get("options") or {}
        request = {**self.request, "body": {**(self.request.get("body") or {}), chat: messages}}
        if chat in (options.get("extra_json") or {}):
            request["options"] = {**options, "extra_json": {**options["extra_json"], chat: messages}}
        return request


class _Hook:
    """Puts a memory into the copies of one client.

    Args:
        library: What the client library can do.
        memory: The memory.
        options: Those of `Memory.turn`.
    """

    def __init__(self, library: Library, memory: Memory | AsyncMemory, options: Mapping[str, Any]) -> None:
        self._library = library
        self._memory: Any = memory
        self._options = options
        self._open: dict[str, Turn | AsyncTurn] = {}

    def copy_of(self, client: T, **changes: Any) -> T:
        """Return a copy of a client that has the memory, and whose copies have it; closing it closes nothing."""
        cls: Any = type(client)  # of a client with a memory, it is the copy without one
        copy = cls.copy(client, **changes)
        again = partial(self.copy_of, copy)
        own = {"post": partial(self.post, copy.post), "copy": again, "with_options": again, "close": self.close}
        for name, function in own.items():
            setattr(copy, name, wraps(getattr(copy, name))(function))
        for path in self._library.connections:
            *parents, name = path.split(".")
            owner = copy
            for parent in parents:
                owner = getattr(owner, parent, None)
            if owner is not None and hasattr(owner, name):
                setattr(owner, name, partial(self._refuse, path))
        return cast(T, copy)

    def _refuse(self, path: str, *_: object, **__: object) -> None:
        raise self._library.refuse(path)

    def _begin(self, path: str, request: dict[str, Any]) -> _Call | None:
        """Return the call of a model; None for a request that has nothing to do with a chat."""
        place = path.partition("?")[0]
        endpoint = self._library.endpoints.get(place)
        if endpoint is None:
            if self._library.others.fullmatch(place):
                return None
            raise self._library.refuse(f"POST {place}")
        options = request.get("options") or {}
        headers = {name.lower(): value for name, value in (options.get("headers") or {}).items()}
        if headers.get(_RAW_HEADER) == "stream":
            raise self._library.refuse("with_streaming_response")
        body = {**(request.get("body") or {}), **(options.get("extra_json") or {})}
        if not endpoint.takes(body):
            return None
        messages = _as_messages(body.get(endpoint.chat))
        copies = [_to_plain(message) for message in messages]
        for position, message in enumerate(copies):
            if isinstance(message, dict):
                message[_POSITION] = position
        turn = name_turn(copies)
        if not turn:  # the user has said nothing
            return None
        key = turn[0]["id"]
        open_turn = self._open.get(key) or self._memory.turn(**self._options)
        return _Call(endpoint, request, messages, copies, key, open_turn)

    def _end(self, call: _Call, reply: Reply | None) -> list[dict[str, Any]]:
        """Return what of a turn is to be remembered, now that the model has replied."""
        if reply is None:
            warn_user("the answer is not complete, and the turn is not remembered")
            return []
        if not reply.is_final:
            self._open[call.key] = call.turn
            for key in list(self._open)[:-MAX_OPEN_TURNS]:
                self._open.pop(key, None)
            return []
        self._open.pop(call.key, None)
        if not reply.text.strip():
            return []
        return name_turn([*call.copies, {"role": "assistant", "content": reply.text}])

    post: Any
    close: Any


class _BlockingHook(_Hook):
    def post(self, send: Callable[..., Any], path: str, **request: Any) -> Any:
        """Send a request, with memories if it is one of a chat."""
        call = self._begin(path, request)
        if call is None:
            return send(path, **request)
        result = send(path, **call.with_memory(call.turn.with_memory(call.copies)))
        parsed = result.parse() if hasattr(result, "http_response") else result
        if request.get("stream"):
            parsed._iterator = self._pass_on(call, parsed._iterator)
        else:
            self._remember(call, call.endpoint.read(parsed))
        return result

    def close(self) -> None:
        """Close nothing: the connections belong to the client of the user."""

    def _pass_on(self, call: _Call, chunks: Iterator[T]) -> Iterator[T]:
        read, reply = call.endpoint.reader(), None
        for chunk in chunks:
            if reply is None and (reply := read(chunk)) is not None:
                self._remember(call, reply)
            yield chunk
        if reply is None:
            self._remember(call, None)

    def _remember(self, call: _Call, reply: Reply | None) -> None:
        said = self._end(call, reply)
        if said:
            self._memory.remember(said)


class _AsyncHook(_Hook):
    async def post(self, send: Callable[..., Any], path: str, **request: Any) -> Any:
        """Send a request, with memories if it is one of a chat."""
        call = self._begin(path, request)
        if call is None:
            return await send(path, **request)
        result = await send(path, **call.with_memory(await self._ask(call.turn.with_memory, call.copies)))
        parsed = result.parse() if hasattr(result, "http_response") else result
        if isawaitable(parsed):
            parsed = await parsed
        if request.get("stream"):
            parsed._iterator = self._pass_on(call, parsed._iterator)
        else:
            await self._remember(call, call.endpoint.read(parsed))
        return result

    async def close(self) -> None:
        """Close nothing: the connections belong to the client of the user."""

    async def _pass_on(self, call: _Call, chunks: AsyncIterator[T]) -> AsyncIterator[T]:
        read, reply = call.endpoint.reader(), None
        async for chunk in chunks:
            if reply is None and (reply := read(chunk)) is not None:
                await self._remember(call, reply)
            yield chunk
        if reply is None:
            await self._remember(call, None)

    async def _remember(self, call: _Call, reply: Reply | None) -> None:
        said = self._end(call, reply)
        if said:
            await self._ask(self._memory.remember, said)

    async def _ask(self, function: Callable[..., Any], argument: object) -> Any:
        """Call a method of the memory; that of a blocking one in a worker thread."""
        if isinstance(self._memory, Memory):
            return await to_thread.run_sync(function, argument)
        return await function(argument)


def add_memory(client: T, memory: Memory | AsyncMemory, library: Library, **options: Any) -> T:
    """Return a copy of a client with a memory.

    Args:
        client: The client.
        memory: The memory.
        library: What the client library can do.
        options: Those of `Memory.turn`.

    Raises:
        SekhaValidationError: The memory is none, or an `AsyncMemory` for a blocking client.
    """
    if iscoroutinefunction(getattr(type(client), "post", None)):
        return _AsyncHook(library, check_memory(memory, AsyncMemory, Memory), options).copy_of(client)
    return _BlockingHook(library, check_memory(memory, Memory), options).copy_of(client)


def field_of(value: Any, *names: str) -> Any:
    """Return what objects or dictionaries have under nested names; None where one is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def _as_messages(value: Any) -> list[Any]:
    """Return the messages of a body as they are sent; what can be read only once becomes a list."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    messages = list(value or ())
    for position, message in enumerate(messages):
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, Iterator):
            messages[position] = {**message, "content": list(content)}
    return messages


def _to_plain(value: Any) -> Any:
    """Return models and what holds them as dictionaries and lists."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(warnings=False)
    if isinstance(value, Mapping):
        return {name: _to_plain(one) for name, one in value.items()}
    return [_to_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
