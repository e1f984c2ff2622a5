"""A scripted chat client that keeps what it was given, and what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Union

from agent_framework import (
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)

from sekha import AsyncSekhaClient

Answer = Union[str, Content, Exception]


class Script(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """Answers in turn, the last one again and again; each a text, a call of a tool, or an error."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.requests: list[list[Message]] = []
        self.tools: list[list[str]] = []
        self._answers = answers or ("I see.",)

    @property
    def texts(self) -> list[list[tuple[str, str]]]:
        """Role and text of the messages of each request."""
        return [[(message.role, message.text) for message in request] for request in self.requests]

    @property
    def blocks(self) -> list[str]:
        """The blocks of all requests."""
        return [text for texts in self.texts for role, text in texts if text.startswith("<memory>") and role == "user"]

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Union[Awaitable[ChatResponse[Any]], ResponseStream[ChatResponseUpdate, ChatResponse[Any]]]:
        self.requests.append(list(messages))
        self.tools.append(sorted(tool.name for tool in options.get("tools") or []))
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if stream:
            return ResponseStream(self._updates(answer), finalizer=ChatResponse.from_updates)
        return self._whole(answer)

    async def _whole(self, answer: Answer) -> ChatResponse[Any]:
        if isinstance(answer, Exception):
            raise answer
        return ChatResponse(messages=[Message("assistant", [answer])])

    async def _updates(self, answer: Answer) -> AsyncIterator[ChatResponseUpdate]:
        if isinstance(answer, str):
            for word in answer.split(" "):
                yield ChatResponseUpdate(role="assistant", contents=[Content.from_text(f"{word} ")])
        elif isinstance(answer, Exception):
            yield ChatResponseUpdate(role="assistant", contents=[Content.from_text("Well, ")])
            raise answer
        else:
            yield ChatResponseUpdate(role="assistant", contents=[answer])


def call(name: str, arguments: Mapping[str, Any], id: str = "call-1") -> Content:
    """The call of a tool."""
    return Content.from_function_call(call_id=id, name=name, arguments=dict(arguments))


async def stored(client: AsyncSekhaClient) -> list[tuple[str, str]]:
    """Role and text of all that is stored, apart from what was said in the session ``earlier``."""
    found = []
    async for row in client.controller.iter_conversations():
        if row["label"] != "earlier":
            messages: list[Any] = list(await client.controller.get_messages(row["conversation_id"]))
            found.append([(message["role"], str(message["content"]).strip()) for message in messages])
    return [message for conversation in reversed(found) for message in conversation]


async def labels(client: AsyncSekhaClient) -> list[str]:
    """The labels of all that is stored."""
    return sorted([row["label"] async for row in client.controller.iter_conversations()])
