"""A model that says what it is told to, for all versions of the SDK, and sessions that are closed after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Union

from agents import ModelResponse, SQLiteSession, Usage
from agents.models.interface import Model
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

SESSIONS: list[SQLiteSession] = []
"""Those that a test has made."""

Step = Union[list[Any], Exception, Callable[[Any], Any]]


def sqlite(session_id: str, path: Any = ":memory:") -> SQLiteSession:
    """Make a session, which is closed after the test."""
    return closed_later(SQLiteSession(session_id, path))


def closed_later(session: SQLiteSession) -> SQLiteSession:
    """Close a session after the test."""
    SESSIONS.append(session)
    return session


def says(text: str, id: str = "msg_1") -> ResponseOutputMessage:
    """An answer; all have the same id, as those of some models have."""
    content = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(id=id, type="message", role="assistant", status="completed", content=[content])


def calls(name: str, arguments: str = "{}", id: str = "c1") -> ResponseFunctionToolCall:
    """The call of a tool."""
    return ResponseFunctionToolCall(id=f"fc_{id}", type="function_call", call_id=id, name=name, arguments=arguments)


class Scripted(Model):
    """Each call of the model takes the next step: what it says, an error, or a function of its input.

    Attributes:
        inputs: What the model was given, call by call.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.inputs: list[Any] = []

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **options: Any) -> ModelResponse:
        """Take the next step; the last one is taken for all calls that follow."""
        self.inputs.append(input)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = await step(input)
        return ModelResponse(output=step, usage=Usage(), response_id=f"resp_{len(self.inputs)}")

    async def stream_response(
        self, system_instructions: Any, input: Any, *args: Any, **options: Any
    ) -> AsyncIterator[Any]:
        """The same in a stream: texts in two parts, then the whole."""
        said = (await self.get_response(system_instructions, input)).output
        for message in said:
            for part in message.content if isinstance(message, ResponseOutputMessage) else ():
                text = getattr(part, "text", "")
                for delta in (text[:3], text[3:]):
                    yield ResponseTextDeltaEvent(
                        type="response.output_text.delta",
                        content_index=0,
                        delta=delta,
                        item_id="msg_1",
                        logprobs=[],
                        output_index=0,
                        sequence_number=0,
                    )
        response = Response(
            id=f"resp_{len(self.inputs)}",
            created_at=1.0,
            model="scripted",
            object="response",
            output=said,
            tool_choice="none",
            tools=[],
            parallel_tool_calls=False,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=1)
