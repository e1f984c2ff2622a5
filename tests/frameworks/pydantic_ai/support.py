"""A scripted model that keeps what it was given, and what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from typing import Any, Union

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from sekha import AsyncSekhaClient

Answer = Union[str, ToolCallPart, list[Any]]


class Script:
    """Answers in turn, the last one again and again; each a text, a call, or a list of them."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[list[ModelMessage]] = []
        self.tools: list[list[str]] = []
        self._answers = answers or ("I see.",)

    @property
    def model(self) -> FunctionModel:
        """The model."""
        return FunctionModel(self._answer, stream_function=self._stream)

    @property
    def users(self) -> list[list[str]]:
        """What the user has said in each request, as texts."""
        return [user_texts(messages) for messages in self.requests]

    @property
    def blocks(self) -> list[str]:
        """The blocks of all requests."""
        return [text for texts in self.users for text in texts if text.startswith("<memory>")]

    def _next(self, messages: list[ModelMessage], info: AgentInfo) -> list[Any]:
        self.requests.append(deepcopy(messages))
        self.tools.append([tool.name for tool in info.function_tools])
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        return answer if isinstance(answer, list) else [answer]

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        parts = self._next(messages, info)
        return ModelResponse(parts=[TextPart(part) if isinstance(part, str) else deepcopy(part) for part in parts])

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Union[str, DeltaToolCalls]]:
        for i, part in enumerate(self._next(messages, info)):
            if isinstance(part, str):
                for word in part.split(" "):
                    yield f"{word} "
            else:
                yield {i: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}


def user_texts(messages: Sequence[ModelMessage]) -> list[str]:
    """The texts in the user's name."""
    return [
        str(part.content)
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, UserPromptPart)
    ]


async def stored(client: AsyncSekhaClient) -> list[tuple[str, str]]:
    """Role and text of all that is stored, apart from what was said in the session ``earlier``."""
    found = []
    async for row in client.controller.iter_conversations():
        if row["label"] != "earlier":
            messages: list[Any] = list(await client.controller.get_messages(row["conversation_id"]))
            found.append([(message["role"], str(message["content"])) for message in messages])
    return [message for conversation in reversed(found) for message in conversation]
