"""What the servers say differently from the documentation, and its translation; D numbers are those of the decisions.

Everything here goes from data to data. A function that takes an `Answer` gives what was promised, not yet validated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sekha._json import as_list, as_object, get
from sekha._request import Service
from sekha._response import Answer, Meaning
from sekha.errors import (
    BODY_LIMIT,
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
    invalid,
)
from sekha.type_guards import extract_image_urls, extract_text
from sekha.types import ConversationListItem, MemoryExport, MemoryStats, ServiceHealth

CONTROLLER_WINDOW = 60.0
"""Seconds of the controller's own rate limit; its 429 does not say when to come back (D38)."""

_BYTE = 100  # the controller 0.1 cuts a preview of a message here, inside a character if it must (D51)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FTS_FAULTS = (
    "fts5",
    "malformed match",
    "no such column",
    "syntax error",
    "unknown special query",
    "unterminated string",
)


# ---- what is sent ------------------------------------------------------------------------------------------


def label_for(messages: Sequence[Mapping[str, Any]]) -> str:
    """A label where none was given: the first line of the first user message, at most 60 characters (D2)."""
    for message in messages:
        if message["role"] == "user":
            for line in extract_text(message["content"]).splitlines():
                if line.strip():
                    return line.strip()[:60].rstrip()
    return "Conversation"


def padded(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages that the controller 0.1 survives: none has a character across its byte 100 (D51)."""
    return [
        {
            **message,
            "content": _padded(message["content"]) if isinstance(message["content"], str) else message["content"],
        }
        for message in messages
    ]


def _padded(text: str) -> str:
    data = text.encode()
    for spaces in range(4):
        at = _BYTE - spaces
        if len(data) <= at or data[at] & 0xC0 != 0x80:
            return " " * spaces + text
    return text  # cannot happen: a character has at most four bytes


def has_parts(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a message has content parts, which the controller 0.1 does not take (D4)."""
    return any(not isinstance(message["content"], str) for message in messages)


def refuses_parts(error: SekhaAPIError) -> bool:
    """Whether an error says that the server takes text only (D4)."""
    return error.status_code == 422 and "content" in error.message


def as_text(messages: Sequence[Mapping[str, Any]], *, drop_images: bool) -> list[dict[str, Any]]:
    """Content parts as text: texts and the addresses of images, a line each (D4).

    Raises:
        SekhaValidationError: A part would be lost and may not be.
    """
    return [
        {**message, "content": _flat(message["content"], f"messages[{i}].content", drop_images)}
        for i, message in enumerate(messages)
    ]


def _flat(content: Any, field: str, drop_images: bool) -> str:
    if isinstance(content, str):
        return content
    lines: list[str] = []
    for j, part in enumerate(content):
        images = extract_image_urls([part])
        if any(url.lower().startswith("data:") for url in images):
            if not drop_images:
                raise invalid(
                    f"{field}[{j}]",
                    "this server stores text only and the image itself would be lost; "
                    "store it elsewhere and pass its address, or pass drop_images=True",
                )
            continue
        if not images and not isinstance(get(part, "text"), str):
            raise invalid(f"{field}[{j}]", "this server stores text only, and no text can stand for this part")
        lines.extend(images or [part["text"]])
    return "\n".join(lines)


def chat_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages with the keys that a model knows, and no others: a remembered message has more (D8)."""
    return [{key: message[key] for key in ("role", "content", "name") if key in message} for message in messages]


def temperature(value: float) -> float:
    """The bridge makes 0.7 of a 0; a millionth is as cold (D61)."""
    return value if value > 0 else 1e-6


def full_text_query(words: str) -> str:
    """Words as an FTS5 query that finds them as they are written, ``C++`` and ``it's`` included (D53)."""
    return " ".join('"' + word.replace('"', '""') + '"' for word in words.split())


# ---- the controller's answers ------------------------------------------------------------------------------


def conversation(answer: Answer) -> object:
    """A conversation; older and newer servers name its id differently."""
    data = answer.json()
    found = as_object(data)
    if found is not None:
        if "id" not in found and "conversation_id" in found:
            found["id"] = found["conversation_id"]
        found.setdefault("message_count", None)
    return data


def hits(answer: Answer) -> object:
    """Hits of ``query`` with scores where higher is better (D18)."""
    data = answer.json()
    _scores(get(data, "results"), distances_if_equal=get(data, "page") == 0)
    return data


def _scores(results: object, *, distances_if_equal: bool) -> None:
    """Turn cosine distances into similarities, in place.

    A server lists its best hit first: scores that rise along the list are distances.
    """
    found = [hit for hit in map(as_object, as_list(results) or ()) if hit is not None]
    scores = [score for score in (hit.get("score") for hit in found) if isinstance(score, (int, float))]
    if not scores or len(scores) < len(found):
        return
    if scores[0] < scores[-1] or (scores[0] == scores[-1] and distances_if_equal):
        for hit in found:
            hit["distance"] = hit["score"]
            hit["score"] = 1 - hit["score"]


def context(answer: Answer) -> object:
    """The messages of a context: a bare list, or under ``messages`` (D5)."""
    data = answer.json()
    return data if as_object(data) is None else get(data, "messages")


def citation_of(message: Mapping[str, Any]) -> dict[str, str]:
    """Label and folder of a remembered message, from ``metadata.citation`` or beside the content (D7)."""
    found: dict[str, str] = {}
    for name in ("label", "folder"):
        value = get(message, "metadata", "citation", name) or get(message, "metadata", name) or message.get(name)
        if isinstance(value, str):
            found[name] = value
    return found


def labels(answer: Answer) -> object:
    """Suggested labels: a list, or under ``suggestions`` (D9)."""
    data = answer.json()
    return data if as_object(data) is None else get(data, "suggestions")


def count(answer: Answer) -> object:
    """A count; the controller admits some errors with a 200 (D43)."""
    data = answer.json()
    if get(data, "error"):
        raise SekhaValidationError(str(get(data, "error")), status_code=answer.status)
    return data


def summary(answer: Answer) -> object:
    """A summary, unless the model was down and the answer only looks like one (D64)."""
    data = answer.json()
    text = get(data, "summary")
    if isinstance(text, str) and text.rstrip().endswith("(LLM offline)"):
        raise _model_is_down(answer, "the controller", "summary")
    return data


def _model_is_down(answer: Answer, server: str, what: str) -> SekhaServerError:
    return SekhaServerError(
        f"the model behind {server} is down: the answer is no {what}. See health_check()",
        status_code=answer.status,
        body=answer.text[:BODY_LIMIT],
    )


def controller_health(answer: Answer) -> object:
    """One shape for the health of all controllers: 0.1, newer ones, and the old text ``OK`` (D33)."""
    found = _object_or_nothing(answer)
    if answer.status >= 400:
        why = get(found, "error") or answer.text.strip()[:500]
        return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": str(why or _UNWELL)}
    if not found and answer.text.strip().strip('"').upper() != "OK":
        return _no_report("controller")
    return {"status": "healthy", **found, "checks": _checks(found.get("checks"))}


def _no_report(server: str) -> dict[str, Any]:
    # A proxy's page, for instance: something answers, but it is not what was asked.
    return {"status": "unhealthy", "checks": {}, "error": f"the answer is no health report of a Sekha {server}"}


_UNWELL = "the database or the vector store does not work"


def _object_or_nothing(answer: Answer) -> dict[str, Any]:
    try:
        return as_object(answer.json()) or {}
    except ValueError:
        return {}


def _checks(checks: object) -> dict[str, Any]:
    return {
        name: check if get(check, "status") is not None else {"status": _check_word(check)}
        for name, check in (as_object(checks) or {}).items()
    }


def _check_word(check: Any) -> str:
    return ("ok" if check else "failed") if isinstance(check, bool) else str(check)


# ---- the MCP tools' answers --------------------------------------------------------------------------------


def tool_result(answer: Answer) -> Any:
    """What an MCP tool says, out of its envelope if it has one (D22, D23).

    Raises:
        SekhaAPIError: ``success`` is false.
    """
    data = answer.json()
    envelope = as_object(data)
    if envelope is None or "success" not in envelope:
        return data
    if envelope["success"] is True:
        return envelope.get("data", envelope)
    words = str(envelope.get("error") or "the tool failed and does not say why")
    cls: type[SekhaAPIError] = SekhaServerError
    if "not found" in words.lower():
        cls = SekhaNotFoundError
    elif any(sign in words.lower() for sign in ("cannot", "invalid", "must")):
        cls = SekhaValidationError
    raise cls(words, status_code=answer.status, body=answer.text[:BODY_LIMIT])


def tool_hits(answer: Answer) -> object:
    """Hits of ``memory_search`` with scores where higher is better (D18)."""
    data = tool_result(answer)
    results = as_list(get(data, "results"))
    if results:
        _scores(results, distances_if_equal=" " in str(get(results[0], "timestamp")))
    if results is not None:
        data.setdefault("total_results", len(results))
    return data


def stats(answer: dict[str, Any], rows: Sequence[ConversationListItem]) -> MemoryStats:
    """Statistics, from what the server said and the conversations they are about for the rest (D24, D25)."""
    scores = [float(row["metadata"].get("importance_score") or 0) for row in rows]
    counted = {
        "total_conversations": len(rows),
        "total_messages": None,
        "average_importance": math.fsum(scores) / len(scores) if scores else 0.0,
        "folders": sorted({row["folder"] for row in rows}),
        "labels": sorted({row["label"] for row in rows}),
    }
    return cast(MemoryStats, {**counted, **{name: value for name, value in answer.items() if value is not None}})


def export(data: MemoryExport, format: str, *, include_metadata: bool) -> MemoryExport:
    """An export as it was asked for; servers only repeat the wishes (D45)."""
    data["format"] = format
    data["include_metadata"] = include_metadata
    if not include_metadata:
        for message in data["messages"]:
            message.pop("metadata", None)
    if format == "markdown":
        data["content"] = _markdown(data)
    return data


def _markdown(data: MemoryExport) -> str:
    about = data["conversation"]
    lines = [f"# {about['label']}", "", f"Folder: {about['folder']}", f"Created: {about['created_at']}"]
    for message in data["messages"]:
        lines += ["", f"## {message['role'].capitalize()}", "", extract_text(message["content"])]
    return "\n".join(lines) + "\n"


# ---- the bridge's answers ----------------------------------------------------------------------------------


def completion(answer: Answer) -> object:
    """A chat completion; tokens that were not counted are None."""
    data = answer.json()
    found = as_object(data)
    return data if found is None else with_usage(found)


def with_usage(data: dict[str, Any]) -> dict[str, Any]:
    """A completion that always has ``usage``."""
    unknown = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    return {**data, "usage": {**unknown, **(as_object(data.get("usage")) or {})}}


def chunk(data: object) -> object:
    """A chunk with a list of choices that each have a delta; model servers leave them out or make them null."""
    found = as_object(data)
    if found is None:
        return data
    if found.get("choices") is None:
        found["choices"] = []
    for choice in map(as_object, as_list(get(found, "choices")) or ()):
        if choice is not None and choice.get("delta") is None:
            choice["delta"] = {}
    return with_usage(found) if as_object(found.get("usage")) is not None else found


def chunks_of_completion(data: object) -> list[dict[str, Any]] | None:
    """A plain completion as two chunks, for a bridge that does not stream (D31): the text, then how it ended.

    None if it is no completion.
    """
    found = as_object(data)
    choices = [as_object(choice) for choice in as_list(get(data, "choices")) or ()]
    if found is None or not choices:
        return None
    head = {key: value for key, value in found.items() if key not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    texts: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for position, choice in enumerate(choices):
        message = as_object(get(choice, "message"))
        if choice is None or message is None:
            return None
        index = choice.get("index", position)
        texts.append({"index": index, "delta": message, "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")})
    end = {**head, "choices": ends}
    return [{**head, "choices": texts}, with_usage({**end, "usage": found["usage"]}) if found.get("usage") else end]


def embedding(answer: Answer) -> object:
    """An embedding in both shapes, OpenAI's and the bridge's (D29, D30)."""
    data = answer.json()
    found = as_object(data)
    if found is None:
        return data
    if "data" not in found and "embedding" in found:
        found["data"] = [{"object": "embedding", "index": 0, "embedding": found["embedding"]}]
    items = as_list(found.get("data"))
    if "embedding" not in found and items:
        found["embedding"] = get(items[0], "embedding")
    vector, tokens = as_list(found.get("embedding")) or [], found.get("tokens_used")
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, **(as_object(found.get("usage")) or {})}
    return {"object": "list", "model": "", "dimension": len(vector), **found, "usage": usage}


def joined_embeddings(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One answer for a list of texts, from one answer for each (D30)."""
    tokens = [answer.get("tokens_used") for answer in answers]
    total = sum(cast("list[int]", tokens)) if all(isinstance(n, int) for n in tokens) else None
    items = [{**answer["data"][0], "index": index} for index, answer in enumerate(answers)]
    joined = {**answers[0], "data": items, "usage": {"prompt_tokens": total, "total_tokens": total}}
    if total is not None:
        joined["tokens_used"] = total
    return joined


def importance(answer: Answer) -> object:
    """A score, unless the model was down and the answer only looks like one (D64)."""
    data = answer.json()
    if get(data, "reasoning") == "Failed to score importance":
        raise _model_is_down(answer, "the bridge", "score")
    return data


def bridge_health(answer: Answer) -> object:
    """The health of a bridge with the documented ``checks``, derived from its providers (D32)."""
    found = _object_or_nothing(answer)
    if answer.status >= 400:
        why = found.get("detail") or answer.text.strip()[:500] or "the bridge is not ready"
        return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": str(why)}
    if not found:
        return _no_report("bridge")
    checks = as_object(found.get("checks"))
    if checks is None:
        providers = as_object(get(found, "ollama_status", "providers")) or {}
        checks = {name: _provider_word(state) for name, state in providers.items()}
    return {"status": "healthy", **found, "checks": _checks(checks)}


def _provider_word(state: object) -> str:
    breaker = get(state, "circuit_breaker", "state")
    return "ok" if breaker == "closed" else str(breaker or "unknown")


# ---- what errors mean --------------------------------------------------------------------------------------


def controller_meaning(status: int, words: str) -> Meaning:
    """A missing id is a 500 on some routes (D15), and a broken database a 404 on another (D16)."""
    if status >= 500 and words.startswith("Entity not found"):
        return Meaning(SekhaNotFoundError)
    if status == 404 and words.startswith("Database error"):
        return Meaning(SekhaServerError)
    return Meaning()


def delete_meaning(status: int, words: str) -> Meaning:
    """The controller 0.1 cannot delete a conversation whose messages were embedded (D49)."""
    if status == 500 and "Collection not found" in words:
        return Meaning(
            SekhaServerError,
            "This controller cannot delete a conversation that has messages, and nothing was deleted. Archive it with "
            "archive_conversation(), or create an empty Chroma collection named `messages`, after which deletion works",
            final=True,
        )
    return controller_meaning(status, words)


def full_text_meaning(status: int, words: str) -> Meaning:
    """A query that FTS5 cannot read is a 500 (D53)."""
    if status == 500 and any(sign in words.lower() for sign in _FTS_FAULTS):
        return Meaning(SekhaValidationError, "Leave raw=True out to search for the words as they are", final=True)
    return controller_meaning(status, words)


def prune_meaning(status: int, words: str) -> Meaning:
    """The controller 0.1 fails as soon as there is something to prune (D59)."""
    if status == 500:
        return Meaning(
            SekhaServerError,
            "Some controllers fail here as soon as there is a candidate; use controller.prune_dry_run() instead",
        )
    return Meaning()


def explain(error: SekhaAPIError, service: Service, *, key_name: str) -> None:
    """Add what only our side knows: which key was sent (D27), and how long the controller's window is (D38)."""
    if service is Service.MCP and isinstance(error, SekhaAuthError):
        error.message += (
            f". The key sent was {key_name}; the MCP tools need the controller's own mcp_api_key "
            "(32 characters or more): pass it as mcp_api_key=... or set SEKHA_MCP_API_KEY"
        )
    if service is not Service.BRIDGE and isinstance(error, SekhaRateLimitError) and error.retry_after is None:
        error.retry_after = CONTROLLER_WINDOW


def health_of(error: SekhaError) -> ServiceHealth:
    """What the error of a health check says of the service."""
    status = "unhealthy"
    if isinstance(error, SekhaConfigError):
        status = "not_configured"
    elif isinstance(error, (SekhaAuthError, SekhaPermissionError)):
        status = "unauthorized"
    elif isinstance(error, (SekhaConnectionError, SekhaClosedError)):
        status = "unreachable"
    return ServiceHealth(status=status, checks={}, error=str(error))


def id_in(words: str) -> str | None:
    """The conversation that an error speaks of, if it names one."""
    found = _UUID.search(words)
    return found.group().lower() if found else None
