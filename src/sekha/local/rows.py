"""The rows that the REST routes and the MCP tools both answer, and the filters that both take."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from pydantic import AfterValidator, BeforeValidator
from typing_extensions import Annotated

from sekha.local.memory import Candidate, Hit
from sekha.local.store import Conversation, Filter, Message
from sekha.local.web import Body, is_object

_NIL = "00000000-0000-0000-0000-000000000000"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)?)?\s?(Z|[+-]\d\d:?\d\d)?", re.I)


def moment(text: str) -> str:
    """A time stamp as the store writes it; without a zone it is UTC, without a time the beginning of the day."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected a time stamp such as 2026-01-31T09:30:00Z")
    date, time, fraction, zone = match.groups()
    offset = "+00:00" if zone is None or zone in "Zz" else f"{zone[:3]}:{zone[-2:]}"
    found = datetime.fromisoformat(f"{date}T{time or '00:00'}{offset}").astimezone(timezone.utc)
    return f"{found.replace(tzinfo=None).isoformat()}.{fraction or '':0<9}"


def _end(text: str) -> str:
    return moment(f"{text}T23:59:59.999999999" if len(text) == 10 else text)


Moment = Annotated[str, AfterValidator(moment)]
End = Annotated[str, AfterValidator(_end)]
"""A date as the end is its whole day."""


class Filters(Body):
    """What conversations can be narrowed by; all that is given must hold, and an empty list of labels holds always."""

    label: Optional[str] = None
    labels: Optional[List[str]] = None
    folder: Optional[str] = None
    min_importance: Optional[float] = None
    start_date: Optional[Moment] = None
    end_date: Optional[End] = None

    def of_store(self, also: Optional[Filters] = None) -> Filter:
        """The same as a filter of the store, where both must hold if there are two."""
        found = Filter(None, self.folder, None, None, self.min_importance, None, self.start_date, self.end_date)
        for labels in (self.labels or None, None if self.label is None else [self.label]):
            found = found.both(Filter(labels=labels))
        return found if also is None else found.both(also.of_store())


def _mapping(value: Any) -> Any:
    return value if is_object(value) else None


Narrowed = Annotated[Optional[Filters], BeforeValidator(_mapping)]
"""Filters inside a body: anything but an object is as good as none."""


def spaced(timestamp: str) -> str:
    """A time stamp with a space between date and time, as the MCP tools and citations write it."""
    return timestamp.replace("T", " ")


def hit_row(hit: Hit) -> Dict[str, Any]:
    """A message that was found."""
    message = hit.message
    ids = {"conversation_id": message.conversation_id, "message_id": message.id}
    metadata = {**ids, "content_preview": message.content[:100], "role": message.role, "timestamp": message.timestamp}
    row: Dict[str, Any] = {**ids, "score": round(hit.score, 6), "content": message.content, "metadata": metadata}
    return {**row, "label": message.label, "folder": message.folder, "timestamp": message.timestamp}


def message_row(message: Message) -> Dict[str, Any]:
    """A message by itself."""
    ids = {"id": message.id, "conversation_id": message.conversation_id, "role": message.role}
    return {**ids, "content": message.content, "timestamp": message.timestamp, "embedding_id": None, "metadata": {}}


def list_row(conversation: Conversation) -> Dict[str, Any]:
    """A conversation in a list."""
    metadata: Dict[str, Any] = {"folder": conversation.folder, "status": conversation.status}
    metadata["importance_score"] = conversation.importance
    ids = {"conversation_id": conversation.id, "message_id": _NIL}
    row: Dict[str, Any] = {**ids, "score": 1.0, "content": conversation.label, "metadata": metadata}
    head = {"label": conversation.label, "folder": conversation.folder, "timestamp": conversation.updated_at}
    return {**row, **head}


def label_row(label: str, existing: bool) -> Dict[str, Any]:
    """A label that is suggested."""
    reason = "Matches existing label" if existing else "Suggested based on conversation content"
    return {"label": label, "confidence": 0.9 if existing else 0.6, "is_existing": existing, "reason": reason}


def export_row(message: Message, metadata: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """A message of a conversation that is exported."""
    row = {"id": message.id, "role": message.role, "content": message.content, "timestamp": message.timestamp}
    return {**row, "metadata": metadata}


def prune_row(candidate: Candidate) -> Dict[str, Any]:
    """A conversation that may be archived."""
    conversation = candidate.conversation
    return {
        "conversation_id": conversation.id,
        "conversation_label": conversation.label,
        "last_accessed": conversation.updated_at,
        "message_count": conversation.message_count,
        "token_estimate": candidate.tokens,
        "importance_score": float(conversation.importance),
        "preview": candidate.preview,
        "recommendation": candidate.recommendation,
    }


def markdown(conversation: Conversation, messages: List[Message]) -> str:
    """A conversation as a document."""
    head = [f"# {conversation.label}", ""]
    head += [f"- Folder: {conversation.folder}", f"- Status: {conversation.status}"]
    head += [f"- Importance: {conversation.importance}", f"- Created: {conversation.created_at}Z"]
    parts = [f"\n## {message.role.capitalize()}\n\n{message.content}" for message in messages]
    return "\n".join([*head, *parts]) + "\n"
