"""A model that says what a test has written down, and notes what it is given."""

from __future__ import annotations

import inspect
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Sequence, Tuple, Union

from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection

CALLS_ARE_BLOCKS = hasattr(types, "ToolCallBlock")
"""Since 0.14.4, calls of tools are in messages as blocks."""

Said = Union[str, Tuple[str, Dict[str, Any]], Exception, Callable[[], Any]]
"""A text; a call of a tool; an error, in the middle of a stream if there is one; or a function that is called first."""


class ScriptedLLM(FunctionCallingLLM):
    """A model with function calling that says one thing after the other, and then "Noted.".

    Attributes:
        seen: The messages of each call, as role and text.
        given: The messages themselves.
    """

    _script: List[Said] = PrivateAttr()
    seen: List[List[Tuple[str, str]]] = Field(default_factory=list)
    given: List[List[ChatMessage]] = Field(default_factory=list)

    def __init__(self, *script: Said) -> None:
        super().__init__()
        self._script = list(script)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True)

    def _next(self, messages: Sequence[ChatMessage]) -> Said:
        self.given.append(list(messages))
        self.seen.append([(message.role.value, message.content or "") for message in messages])
        return self._script.pop(0) if self._script else "Noted."

    def _message(self, said: Said) -> ChatMessage:
        if isinstance(said, Exception):
            raise said
        if isinstance(said, tuple):
            call = ToolSelection(tool_id=f"call-{len(self.seen)}", tool_name=said[0], tool_kwargs=said[1])
            if CALLS_ARE_BLOCKS:
                block = types.ToolCallBlock(tool_call_id=call.tool_id, tool_name=said[0], tool_kwargs=said[1])
                return ChatMessage(role="assistant", blocks=[types.TextBlock(text="I call."), block])
            return ChatMessage(role="assistant", content="I call.", additional_kwargs={"tool_calls": [call]})
        assert isinstance(said, str)
        return ChatMessage(role="assistant", content=said)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        said = self._next(messages)
        return ChatResponse(message=self._message(said() if callable(said) else said))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        said = self._next(messages)
        if callable(said):
            said = said()
            said = await said if inspect.isawaitable(said) else said
        return ChatResponse(message=self._message(said))

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Iterator[ChatResponse]:
        return self._chunks(self._next(messages))

    def _chunks(self, said: Said) -> Iterator[ChatResponse]:
        said = said() if callable(said) else said
        if isinstance(said, Exception):
            yield ChatResponse(message=ChatMessage(role="assistant", content="We sh"), delta="We sh")
        message = self._message(said)
        words = (message.content or "").split(" ")
        for number in range(1, len(words) + 1):
            text = " ".join(words[:number])
            whole = message.model_copy() if number == len(words) else ChatMessage(role="assistant", content=text)
            yield ChatResponse(message=whole, delta=f"{' ' * (number > 1)}{words[number - 1]}")

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncIterator[ChatResponse]:
        said = self._next(messages)
        if callable(said):
            said = said()
            said = await said if inspect.isawaitable(said) else said

        async def chunks() -> AsyncIterator[ChatResponse]:
            for chunk in self._chunks(said):
                yield chunk

        return chunks()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.chat([ChatMessage(role="user", content=prompt)]).message.content or "")

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self.complete(prompt)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **kwargs: Any
    ) -> Any:
        said = [user_msg] if isinstance(user_msg, ChatMessage) else []
        return {"messages": [*(chat_history or []), *said], "tools": tools}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> List[ToolSelection]:
        calls: List[ToolSelection] = response.message.additional_kwargs.get("tool_calls", [])
        for block in response.message.blocks if CALLS_ARE_BLOCKS else ():
            if isinstance(block, types.ToolCallBlock):
                selection: Any = {"tool_name": block.tool_name, "tool_kwargs": block.tool_kwargs}
                calls.append(ToolSelection(tool_id=str(block.tool_call_id), **selection))
        return calls
