"""The JSON rows that both the REST routes and the MCP tools return."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from sekha.local.records import Conversation, Message, PruneCandidate, SearchResult

_NIL_ID = "00000000-0000-0000-0000-000000000000"


def space_separated(timestamp: str) -> str:
    """Put a space between date and time, as in timestamps of MCP tools and citations."""
    return timestamp.replace("T", " ")


def search_row(result: SearchResult) -> Dict[str, Any]:
    """Return the row of a search result."""
    message = result.message
    ids = {"conversation_id": message.conversation_id, "message_id": message.id}
    metadata = {**ids, "content_preview": message.content[:100], "role": message.role, "timestamp": message.timestamp}
    row: Dict[str, Any] = {**ids, "score": round(result.score, 6), "content": message.content, "metadata": metadata}
    return {**row, "label": message.label, "folder": message.folder, "timestamp": message.timestamp}


def message_row(message: Message) -> Dict[str, Any]:
    """Return the row of a message."""
    ids = {"id": message.id, "conversation_id": message.conversation_id, "role": message.role}
    return {**ids, "content": message.content, "timestamp": message.timestamp, "embedding_id": None, "metadata": {}}


def conversation_row(conversation: Conversation) -> Dict[str, Any]:
    """Return the row of a conversation in a list."""
    metadata: Dict[str, Any] = {"folder": conversation.folder, "status": conversation.status}
    metadata["importance_score"] = conversation.importance
    ids = {"conversation_id": conversation.id, "message_id": _NIL_ID}
    row: Dict[str, Any] = {**ids, "score": 1.0, "content": conversation.label, "metadata": metadata}
    head = {"label": conversation.label, "folder": conversation.folder, "timestamp": conversation.updated_at}
    return {**row, **head}


def label_row(label: str, existing: bool) -> Dict[str, Any]:
    """Return the row of a suggested label."""
    reason = "Matches existing label" if existing else "Suggested based on conversation content"
    return {"label": label, "confidence": 0.9 if existing else 0.6, "is_existing": existing, "reason": reason}


def export_row(message: Message, metadata: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """Return the row of a message in an export."""
    row = {"id": message.id, "role": message.role, "content": message.content, "timestamp": message.timestamp}
    return {**row, "metadata": metadata}


def prune_row(candidate: PruneCandidate) -> Dict[str, Any]:
    """Return the row of a conversation that could be archived."""
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
    """Return a conversation as a Markdown document."""
    head = [f"# {conversation.label}", ""]
    head += [f"- Folder: {conversation.folder}", f"- Status: {conversation.status}"]
    head += [f"- Importance: {conversation.importance}", f"- Created: {conversation.created_at}Z"]
    parts = [f"\n## {message.role.capitalize()}\n\n{message.content}" for message in messages]
    return "\n".join([*head, *parts]) + "\n"
