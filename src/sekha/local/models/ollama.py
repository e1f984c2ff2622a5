"""Convert chats between the native format of Ollama and the OpenAI format."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Mapping
from uuid import uuid4

from pydantic_core import from_json

from sekha._api.error_response import describe_body, truncate
from sekha._utils.json_access import as_list, as_object, as_text, get
from sekha.local.models import ChatRequest, Completion, ModelError, StreamCutOff

_OPTIONS = ("top_p", "seed", "stop", "frequency_penalty", "presence_penalty")
"""Keys of OpenAI requests that Ollama has in `options`."""
_MAX_LINE = 64 * 2**20
_MAX_SHOWN = 200


def request_body(request: ChatRequest, name: str, *, stream: bool) -> Dict[str, Any]:
    """Return the body of a request; native keys of Ollama, such as `think`, are passed on unchanged."""
    rest = dict(request.options)
    limits = {"temperature": request.temperature, "num_predict": rest.pop("max_completion_tokens", request.max_tokens)}
    options = {key: value for key, value in limits.items() if value is not None}
    options.update({key: rest.pop(key) for key in _OPTIONS if key in rest})
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    options.update(as_object(rest.pop("options", None)) or {})
    wanted = rest.pop("response_format", None)
    if get(wanted, "type") == "json_object":
        rest["format"] = "json"
    elif get(wanted, "type") == "json_schema":
        rest["format"] = get(wanted, "json_schema", "schema")
    return {**rest, "model": name, "messages": _messages(request.messages), "stream": stream, "options": options}


def read_completion(answer: Mapping[str, Any]) -> Completion:
    """Return an answer with a `message` as a completion."""
    given: Mapping[str, Any] = answer["message"]
    content = as_text(given.get("content"))
    message: Dict[str, Any] = {"role": "assistant", "content": content, **_thoughts(given)}
    calls = _tool_calls(given)
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(answer, has_calls=bool(calls))}
    return {"choices": [choice], **_model(answer), **_usage(answer)}


class LineDecoder:
    """Decodes the lines of a streamed answer, which end only at line feeds, to chunks.

    Attributes:
        done: Whether the last line has arrived.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._calls = 0
        self.done: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether all content has arrived."""
        return self.done

    def feed(self, data: bytes) -> Iterator[Completion]:
        """Yield the chunks that these bytes complete; raise ModelError if they contain an error, or are not chunks."""
        self._rest += data
        if len(self._rest) > _MAX_LINE:
            raise ModelError(f"a line is longer than {_MAX_LINE} bytes")
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if line.strip() and not self.done:
                yield self._chunk(line)

    def finish(self) -> Iterator[Completion]:
        """Yield the remaining chunk at the end of the bytes; raise StreamCutOff if the stream is incomplete."""
        if self._rest.strip() and not self.done:
            try:
                chunk = self._chunk(bytes(self._rest))
            except ValueError:
                raise StreamCutOff("the stream ended in the middle of a line") from None
            yield chunk
        if not self.done:
            raise StreamCutOff("the stream ended without done")

    def _chunk(self, line: bytes) -> Completion:
        try:
            found = as_object(from_json(line, allow_inf_nan=False))
        except ValueError:
            raise _Junk(line) from None
        message = as_object(get(found, "message"))
        if found is None or found.get("error") or (message is None and found.get("done") is not True):
            raise _Junk(line)
        message = message or {}
        calls = _tool_calls(message)
        self._calls += len(calls)
        delta: Dict[str, Any] = {"content": message["content"]} if as_text(message.get("content")) else {}
        delta.update(_thoughts(message))
        if calls:
            first = self._calls - len(calls)
            delta["tool_calls"] = [{"index": first + place, **call} for place, call in enumerate(calls)]
        self.done = found.get("done") is True
        reason = _finish_reason(found, has_calls=self._calls > 0) if self.done else None
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"choices": [choice], **_model(found), **(_usage(found) if self.done else {})}


class _Junk(ModelError, ValueError):
    """A line contains an error, or is not a part of an answer."""

    def __init__(self, line: bytes) -> None:
        super().__init__(truncate(describe_body(line.decode("utf-8", "replace")), _MAX_SHOWN))


def _messages(messages: Any) -> List[Dict[str, Any]]:
    """Return messages with text contents, separate images, and the tool name of each tool result."""
    tools: Dict[Any, Any] = {}
    found: List[Dict[str, Any]] = []
    for message in messages:
        sent = {**message, **_content(message.get("content"))}
        calls = as_list(message.get("tool_calls")) or []
        if calls:
            sent["tool_calls"] = [{"function": _function(call)} for call in calls]
            tools.update({get(call, "id"): get(call, "function", "name") for call in calls})
        name = tools.get(message.get("tool_call_id"))
        if name is not None:
            sent["tool_name"] = name
        found.append(sent)
    return found


def _content(content: Any) -> Dict[str, Any]:
    """Return the content of a message: its texts joined, and its images unless they are remote URLs."""
    parts = as_list(content)
    if parts is None:
        return {"content": content or ""}
    texts: List[str] = []
    images: List[str] = []
    for part in parts:
        url = get(part, "image_url", "url") or get(part, "image_url")
        head, mark, data = url.partition(";base64,") if isinstance(url, str) else ("", "", "")
        if mark and head.startswith("data:image/"):
            images.append(data)
        else:
            texts.append(url if isinstance(url, str) else as_text(get(part, "text")))
    return {"content": "\n".join(texts), **({"images": images} if images else {})}


def _function(call: Any) -> Dict[str, Any]:
    """Return the function of a tool call, with its arguments as an object."""
    function = dict(as_object(get(call, "function")) or {})
    with suppress(ValueError):  # the model's server rejects invalid JSON
        function["arguments"] = from_json(as_text(function.get("arguments")))
    return function


def _tool_calls(message: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Return the tool calls of a message in OpenAI format."""
    calls: List[Dict[str, Any]] = []
    for call in as_list(message.get("tool_calls")) or ():
        function = dict(as_object(get(call, "function")) or {})
        function.pop("index", None)
        if not isinstance(function.get("arguments"), str):
            function["arguments"] = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
        identity = as_text(get(call, "id")) or f"call_{uuid4().hex[:12]}"
        calls.append({"id": identity, "type": "function", "function": function})
    return calls


def _thoughts(message: Mapping[str, Any]) -> Dict[str, str]:
    thinking = as_text(message.get("thinking"))
    return {"reasoning": thinking} if thinking else {}


def _finish_reason(answer: Mapping[str, Any], *, has_calls: bool) -> str:
    """Return the finish reason, which old versions omit, and no version reports for tool calls."""
    reason = as_text(answer.get("done_reason")) or "stop"
    return "tool_calls" if has_calls and reason == "stop" else reason


def _model(answer: Mapping[str, Any]) -> Dict[str, str]:
    model = as_text(answer.get("model"))
    return {"model": model} if model else {}


def _usage(answer: Mapping[str, Any]) -> Dict[str, Dict[str, int]]:
    """Return the token counts, if the answer has both."""
    prompt, completion = answer.get("prompt_eval_count"), answer.get("eval_count")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return {}
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}}
