"""The calls of a model by the clients of OpenAI and Anthropic: what is sent, and what is remembered of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple, cast

from sekha._api.turns import name_turn
from sekha._api.validation import argument_error, type_name
from sekha._utils.frames import warn_user
from sekha.errors import SekhaValidationError
from sekha.memory import AsyncMemory, AsyncTurn, Memory, Turn

MAX_OPEN_TURNS = 1000
"""Turns in which the model has called tools and was not called again; the oldest go first."""
_RAW_RESPONSE = "x-stainless-raw-response"
_POSITION = "sekha_position"
"""A key of the copies of messages: where the message stands in the request."""


class Reply(NamedTuple):
    """What a model has replied.

    Attributes:
        text: The text; empty if it is not to be remembered.
        is_final: Whether the turn ends with it; if not, the model has called tools, or will go on.
    """

    text: str
    is_final: bool


class Endpoint(NamedTuple):
    """How chats stand in the requests and replies of one path.

    Attributes:
        chat: The key of the messages in the body.
        is_turn: Returns whether a body is a turn of a chat; raises the error for one that is not supported.
        read: Reads a reply; returns None if it is not complete.
        reader: Returns a function that reads the chunks of a stream one by one, and returns the reply when it is
            complete.
    """

    chat: str
    is_turn: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Any], Reply | None]
    reader: Callable[[], Callable[[Any], Reply | None]]


class Library(NamedTuple):
    """What a client library can do.

    Attributes:
        covered: What is covered, as errors name it.
        endpoints: The paths of chats.
        others: The paths of POST requests that have nothing to do with a chat.
        connections: Methods that reach a model in another way than by POST requests, such as ``realtime.connect``.
    """

    covered: str
    endpoints: Mapping[str, Endpoint]
    others: re.Pattern[str]
    connections: tuple[str, ...] = ()

    def refuse(self, what: str, why: str = "is not supported") -> SekhaValidationError:
        """Return the error for what is not supported."""
        covered = f"a client with memory supports {self.covered}"
        return argument_error(what, f"{why}; {covered}. Use the client without memory for anything else")


class Call(NamedTuple):
    """A call of the model.

    Attributes:
        endpoint: Where it goes.
        request: The keywords of ``post``.
        messages: The messages as they are sent.
        copies: The same as plain data, each with its position.
        turn: The turn, which knows its block.
    """

    endpoint: Endpoint
    request: dict[str, Any]
    messages: list[Any]
    copies: list[dict[str, Any]]
    turn: Any

    def with_memory(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the keywords with the block that is among the copies; the messages themselves stay as they are."""
        messages = [self.messages[one[_POSITION]] if _POSITION in one else one for one in found]
        chat, options = self.endpoint.chat, _as_dict(self.request.get("options"))
        request = {**self.request, "body": {**_as_dict(self.request.get("body")), chat: messages}}
        extra = _as_dict(options.get("extra_json"))
        if chat in extra:
            request["options"] = {**options, "extra_json": {**extra, chat: messages}}
        return request


class Calls:
    """The calls of a model with one memory.

    Args:
        library: What the client library can do.
        memory: The memory.
        options: Those of `Memory.turn`.
    """

    def __init__(self, library: Library, memory: Memory | AsyncMemory, options: Mapping[str, Any]) -> None:
        self._library = library
        self._memory = memory
        self._options = options
        self._open: dict[str, Turn | AsyncTurn] = {}

    def begin(self, path: str, request: dict[str, Any]) -> Call | None:
        """Return the call that a POST request is; None if it has nothing to do with a chat.

        Args:
            path: The path of the request.
            request: The other arguments of ``post``, by name.

        Raises:
            SekhaValidationError: The request is not supported; ``field`` says what of it.
        """
        place = path.partition("?")[0]
        endpoint = self._library.endpoints.get(place)
        if endpoint is None:
            if self._library.others.fullmatch(place):
                return None
            raise self._library.refuse(f"POST {place}")
        options = _as_dict(request.get("options"))
        headers = {name.lower(): value for name, value in _as_dict(options.get("headers")).items()}
        if headers.get(_RAW_RESPONSE) == "stream":
            raise self._library.refuse("with_streaming_response")
        body = {**_as_dict(request.get("body")), **_as_dict(options.get("extra_json"))}
        if not endpoint.is_turn(body):
            return None
        messages = _as_messages(endpoint.chat, body.get(endpoint.chat))
        copies = [_to_plain(message) for message in messages]
        for position, message in enumerate(copies):
            if not isinstance(message, dict):
                problem = f"must be a message, not {type_name(messages[position])}"
                raise argument_error(f"{endpoint.chat}[{position}]", problem)
            message[_POSITION] = position
        said = name_turn(copies)
        if not said:  # nothing is asked by the user
            return None
        turn = self._open.get(said[0]["id"]) or self._memory.turn(**self._options)
        return Call(endpoint, request, messages, copies, turn)

    def end(self, call: Call, reply: Reply | None) -> list[dict[str, Any]]:
        """Return what is to be remembered, now that the model has replied; nothing if it has called tools.

        Args:
            call: The call.
            reply: The reply; None if it is not complete.
        """
        if reply is None:
            warn_user("the answer of the model is incomplete, so the turn is not stored")
            return []
        said = name_turn([*call.copies, {"role": "assistant", "content": reply.text}])
        if reply.is_final:
            self._open.pop(said[0]["id"], None)
            return said if reply.text.strip() else []
        self._open[said[0]["id"]] = call.turn
        for oldest in list(self._open)[:-MAX_OPEN_TURNS]:
            self._open.pop(oldest, None)
        return []


def field_of(value: Any, *path: str | int) -> Any:
    """Return what objects, dictionaries and lists have at a path; None where there is nothing."""
    for name in path:
        if isinstance(name, int):
            value = value[name] if value else None
        elif isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(name)
        else:
            value = getattr(value, name, None)
    return value


def _as_dict(value: Any) -> dict[str, Any]:
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {}


def _as_messages(name: str, value: Any) -> list[Any]:
    """Return the messages of a body as they are sent; what can be read only once becomes a list.

    Raises:
        SekhaValidationError: They are no list; ``field`` is the name in the body.
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    kind = type_name(value)
    if isinstance(value, (bytes, Mapping)) or not isinstance(value or (), Iterable):
        raise argument_error(name, f"must be a list of messages, not {kind}")
    return [_without_iterator(message) for message in cast("Iterable[object]", value or ())]


def _without_iterator(message: Any) -> Any:
    content = field_of(message, "content")
    if not isinstance(content, Iterator):
        return message
    return {**message, "content": list(cast("Iterator[object]", content))}


def _to_plain(value: Any) -> Any:
    """Return models, and what holds them, as dictionaries and lists."""
    plain: Any = value.model_dump(warnings=False) if hasattr(value, "model_dump") else value
    if isinstance(plain, Mapping):
        return {name: _to_plain(one) for name, one in _as_dict(plain).items()}
    if isinstance(plain, (list, tuple)):
        return [_to_plain(one) for one in cast("Sequence[object]", plain)]
    return plain
