"""What the servers say differently from the documentation, and its translation; D numbers are those of the decisions.

Everything here goes from data to data. A function that takes an `Answer` gives what was promised, not yet validated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sekha._request import Service
from sekha._response import Answer, Meaning
from sekha.errors import (
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
_WORDLESS_FTS = ("fts5", "no such column", "unterminated string", "syntax error")


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
        SekhaValidationError: An image would be lost and may not be.
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
        lines.extend(images or [extract_text([part])])
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


def created(answer: Answer) -> object:
    """A conversation; older and newer servers name its id differently."""
    data = answer.json()
    if isinstance(data, dict):
        found = cast("dict[str, Any]", data)
        if "id" not in found and "conversation_id" in found:
            found["id"] = found["conversation_id"]
        found.setdefault("message_count", None)
    return data


def hits(answer: Answer) -> object:
    """Hits of ``query`` with scores where higher is better (D18)."""
    data = answer.json()
    if isinstance(data, dict):
        page = cast("dict[str, Any]", data)
        _scores(page.get("results"), distances_if_equal=page.get("page") == 0)
    return data


def _scores(results: Any, *, distances_if_equal: bool) -> None:
    """Turn cosine distances into similarities, in place.

    A server lists its best hit first: scores that rise along the list are distances.
    """
    if not isinstance(results, list) or not results:
        return
    found = [hit for hit in results if isinstance(hit, dict)]
    scores = [hit.get("score") for hit in cast("list[dict[str, Any]]", found)]
    if not scores or not all(isinstance(score, (int, float)) for score in scores):
        return
    first, last = float(scores[0] or 0), float(scores[-1] or 0)
    if first < last or (first == last and distances_if_equal):
        for hit in cast("list[dict[str, Any]]", found):
            hit["distance"] = hit["score"]
            hit["score"] = 1 - hit["score"]


def context(answer: Answer) -> object:
    """The messages of a context: a bare list, or under ``messages`` (D5)."""
    data = answer.json()
    return cast("dict[str, Any]", data)["messages"] if isinstance(data, dict) else data


def citation_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Label and folder of a remembered message, from ``metadata.citation`` or beside the content (D7)."""
    metadata: Any = message.get("metadata") or {}
    citation: Any = metadata.get("citation") or {}
    found: dict[str, Any] = {}
    for name in ("label", "folder"):
        value = citation.get(name) or metadata.get(name) or message.get(name)
        if isinstance(value, str):
            found[name] = value
    return found


def labels(answer: Answer) -> object:
    """Suggested labels: a list, or under ``suggestions`` (D9)."""
    data = answer.json()
    return cast("dict[str, Any]", data)["suggestions"] if isinstance(data, dict) else data


def count(answer: Answer) -> object:
    """A count; the controller admits some errors with a 200 (D43)."""
    data = answer.json()
    if isinstance(data, dict) and cast("dict[str, Any]", data).get("error"):
        raise SekhaValidationError(str(cast("dict[str, Any]", data)["error"]), status_code=answer.status)
    return data


def summary(answer: Answer) -> object:
    """A summary, unless the model was down and the answer only looks like one (D64)."""
    data = answer.json()
    text: Any = cast("dict[str, Any]", data).get("summary") if isinstance(data, dict) else None
    if isinstance(text, str) and text.rstrip().endswith("(LLM offline)"):
        raise SekhaServerError(
            "the model behind the controller is down: the answer is no summary. Check health_check()",
            status_code=answer.status,
            body=answer.text[:2000],
        )
    return data


def controller_health(answer: Answer) -> object:
    """One shape for the health of all controllers: 0.1, newer ones, and the old text ``OK`` (D33)."""
    try:
        data: Any = answer.json()
    except ValueError:
        data = None
    found: dict[str, Any] = dict(cast("dict[str, Any]", data)) if isinstance(data, dict) else {}
    ok = answer.status < 400
    found.setdefault("status", "healthy" if ok else "unhealthy")
    found["checks"] = _checks(found.get("checks"))
    if not ok:
        found["status"] = "unhealthy"
        found.setdefault("error", answer.text.strip()[:500] or "the database or the vector store does not work")
    return found


def _checks(checks: Any) -> dict[str, Any]:
    if not isinstance(checks, dict):
        return {}
    return {
        str(name): check if isinstance(check, dict) and "status" in check else {"status": _check_word(check)}
        for name, check in cast("dict[str, Any]", checks).items()
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
    if not isinstance(data, dict) or "success" not in data:
        return cast(object, data)
    envelope = cast("dict[str, Any]", data)
    if envelope["success"] is True:
        return envelope.get("data") if "data" in envelope else envelope
    words = str(envelope.get("error") or "the tool failed and does not say why")
    cls: type[SekhaAPIError] = SekhaServerError
    if "not found" in words.lower():
        cls = SekhaNotFoundError
    elif "cannot" in words.lower() or "invalid" in words.lower() or "must" in words.lower():
        cls = SekhaValidationError
    raise cls(words, status_code=answer.status, body=answer.text[:2000])


def tool_hits(answer: Answer) -> object:
    """Hits of ``memory_search`` with scores where higher is better (D18)."""
    data = tool_result(answer)
    if isinstance(data, dict):
        page = cast("dict[str, Any]", data)
        results: Any = page.get("results")
        first: Any = results[0] if isinstance(results, list) and results else None
        stamp: Any = cast("dict[str, Any]", first).get("timestamp") if isinstance(first, dict) else None
        _scores(results, distances_if_equal=isinstance(stamp, str) and " " in stamp)
        if isinstance(results, list):
            page.setdefault("total_results", len(results))
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
    return cast(MemoryStats, {**counted, **answer})


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
    return with_usage(cast("dict[str, Any]", data)) if isinstance(data, dict) else data


def with_usage(data: dict[str, Any]) -> dict[str, Any]:
    """A completion that always has ``usage``."""
    if not isinstance(data.get("usage"), dict):
        data["usage"] = {}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        data["usage"].setdefault(name, None)
    return data


def chunk(data: Any) -> Any:
    """A chunk with a list of choices that each have a delta; model servers leave them out or make them null."""
    if not isinstance(data, dict):
        return data
    found = cast("dict[str, Any]", data)
    if found.get("choices") is None:
        found["choices"] = []
    if isinstance(found["choices"], list):
        for choice in found["choices"]:
            if isinstance(choice, dict) and cast("dict[str, Any]", choice).get("delta") is None:
                choice["delta"] = {}
    if isinstance(found.get("usage"), dict):
        with_usage(found)
    return found


def chunks_of_completion(data: Any) -> list[dict[str, Any]] | None:
    """A plain completion as two chunks, for a bridge that does not stream (D31): the text, then how it ended.

    None if it is no completion.
    """
    if not isinstance(data, dict) or not isinstance(cast("dict[str, Any]", data).get("choices"), list):
        return None
    found = cast("dict[str, Any]", data)
    head = {key: value for key, value in found.items() if key not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    texts: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for position, choice in enumerate(found["choices"]):
        if not isinstance(choice, dict) or not isinstance(cast("dict[str, Any]", choice).get("message"), dict):
            return None
        said = cast("dict[str, Any]", choice)
        index = said.get("index", position)
        texts.append({"index": index, "delta": dict(said["message"]), "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": said.get("finish_reason")})
    end = {**head, "choices": ends}
    if isinstance(found.get("usage"), dict):
        end = with_usage({**end, "usage": found["usage"]})
    return [{**head, "choices": texts}, end]


def embedding(answer: Answer) -> object:
    """An embedding in both shapes, OpenAI's and the bridge's (D29, D30)."""
    data = answer.json()
    if not isinstance(data, dict):
        return data
    found = cast("dict[str, Any]", data)
    if "data" not in found and "embedding" in found:
        found["data"] = [{"object": "embedding", "index": 0, "embedding": found["embedding"]}]
    items: Any = found.get("data")
    if "embedding" not in found and isinstance(items, list) and items:
        found["embedding"] = items[0]["embedding"]
    found.setdefault("object", "list")
    found.setdefault("model", "")
    found.setdefault("dimension", len(found["embedding"]))
    if not isinstance(found.get("usage"), dict):
        tokens = found.get("tokens_used")
        found["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return found


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
    if isinstance(data, dict) and cast("dict[str, Any]", data).get("reasoning") == "Failed to score importance":
        raise SekhaServerError(
            "the model behind the bridge is down: the answer is no score. Check health_check()",
            status_code=answer.status,
            body=answer.text[:2000],
        )
    return data


def bridge_health(answer: Answer) -> object:
    """The health of a bridge with the documented ``checks``, derived from its providers (D32)."""
    try:
        data: Any = answer.json()
    except ValueError:
        data = None
    found: dict[str, Any] = dict(cast("dict[str, Any]", data)) if isinstance(data, dict) else {}
    if answer.status >= 400:
        detail = found.get("detail")
        return {
            "status": "unhealthy",
            "checks": {},
            "error": detail if isinstance(detail, str) else answer.text.strip()[:500] or "the bridge is not ready",
        }
    found.setdefault("status", "healthy")
    if not isinstance(found.get("checks"), dict):
        inside: Any = found.get("ollama_status")
        providers: Any = cast("dict[str, Any]", inside).get("providers") if isinstance(inside, dict) else None
        found["checks"] = (
            {name: {"status": _provider_word(state)} for name, state in cast("dict[str, Any]", providers).items()}
            if isinstance(providers, dict)
            else {}
        )
    found["checks"] = _checks(found["checks"])
    return found


def _provider_word(state: Any) -> str:
    breaker: Any = cast("dict[str, Any]", state).get("circuit_breaker") if isinstance(state, dict) else None
    word: Any = cast("dict[str, Any]", breaker).get("state") if isinstance(breaker, dict) else None
    return "ok" if word == "closed" else str(word or "unknown")


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
    if status == 500 and any(sign in words.lower() for sign in _WORDLESS_FTS):
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
