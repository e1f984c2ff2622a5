"""Who said what in the messages of Pydantic AI, which are known by their ``kind`` and ``part_kind``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic_core import to_json

_RETRIES = ("retry-prompt", "retry-feedback")
_RESULTS = ("tool-return", *_RETRIES)
_TEXTS = ("text-content", "structured-content")


def prompts(messages: Sequence[Any], prompt: object) -> Iterator[tuple[int, Any]]:
    """Yield the parts that the user has said, each with the place of its message.

    Args:
        messages: Requests and responses.
        prompt: The prompt of the run. Beside results of tools, all other parts of this kind are of the tools.
    """
    for i, message in enumerate(messages):
        if message.kind == "request":
            is_result = any(part.part_kind in _RESULTS for part in message.parts)
            for part in message.parts:
                if part.part_kind == "user-prompt" and (not is_result or part.content == prompt):
                    yield i, part


def place_of_block(messages: Sequence[Any], prompt: object, run_id: object) -> tuple[int, int] | None:
    """Return the message and the part before which a block is put: the first prompt of the run, or the last of all.

    It is the same in all requests of a run, so that the block never comes between a call and its result.
    """
    places = [i for i, _ in prompts(messages, prompt)]
    own = [i for i in places if messages[i].run_id == run_id]  # messages that were merged have none
    if not places:
        return None
    i = own[0] if own else places[-1]
    return i, next(j for j, part in enumerate(messages[i].parts) if part.part_kind == "user-prompt")


def prompt_text(content: object) -> str:
    """Return the text of a prompt, without images and the like."""
    parts: Sequence[Any] = [content] if isinstance(content, str) else cast("Sequence[Any]", content or ())
    texts: Iterator[Any] = (part.content if getattr(part, "kind", None) in _TEXTS else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def messages_of_run(
    everything: Sequence[Any], new: Sequence[Any], prompt: object, output: object
) -> list[dict[str, Any]]:
    """Return what user and assistant have said in a run, without answers that were sent back to the model.

    Args:
        everything: The history and the messages of the run.
        new: The messages of the run.
        prompt: Its prompt; None if that is the end of the history.
        output: Its output; None if it is no answer. It is what was said where the last response has no text for it.
    """
    start = len(everything) - len(new)
    before: Sequence[Any] = everything[max(start - 1, 0) : start] if prompt is None else []
    turn: list[Any] = [*(message for message in before if message.kind == "request"), *new]
    said: list[tuple[int, str, str]] = [(i, "user", prompt_text(part.content)) for i, part in prompts(turn, prompt)]
    for i, message in enumerate(turn):
        if message.kind == "response" and not _is_sent_back(turn[i + 1 : i + 2]):
            said.append((i, "assistant", message.text or ""))
    last: Any = next((message for message in reversed(turn) if message.kind == "response"), None)
    if last is None or not last.text or (last.tool_calls and not isinstance(output, str)):
        said.append((len(turn), "assistant", _output_text(output)))
    return [{"role": role, "content": text} for _, role, text in sorted(said, key=lambda one: one[0])]


def _is_sent_back(following: Sequence[Any]) -> bool:
    parts = (part for message in following for part in message.parts)
    return any(part.part_kind in _RETRIES and getattr(part, "tool_name", None) is None for part in parts)


def _output_text(output: object) -> str:
    if isinstance(output, str):
        return output
    if output is None or getattr(output, "kind", None) == "binary":
        return ""
    try:
        return to_json(output, bytes_mode="base64").decode()
    except ValueError:  # an object of the program, which has no form in which it could be said
        return ""
