"""Messages, and the enumerations of messages and conversations."""

from enum import Enum
from typing import List, Optional, Union

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import Timestamp, allow_extra


class MessageRole(str, Enum):
    """Role of a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FUNCTION = "function"
    TOOL = "tool"


class ConversationStatus(str, Enum):
    """Status of a conversation: active or archived."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class SummaryLevel(str, Enum):
    """Period that a summary covers."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class PruneRecommendation(str, Enum):
    """The controller's recommendation for an old conversation."""

    KEEP = "keep"
    ARCHIVE = "archive"


@allow_extra
class ImageURL(TypedDict):
    """URL of an image, or a ``data:`` URL with the image itself."""

    url: str
    detail: NotRequired[Optional[str]]


@allow_extra
class ContentPart(TypedDict):
    """A part of a message: ``{"type": "text", "text": ...}`` or ``{"type": "image_url", "image_url": ...}``."""

    type: str
    text: NotRequired[Optional[str]]
    image_url: NotRequired[Union[ImageURL, str, None]]


MessageContent = Union[str, List[ContentPart]]
"""Content of a message: text, or a list of parts with text and images."""


FoundBy = Literal["meaning", "words", "both"]
"""How a message was found: by semantic search, by full-text search, or by both."""


@allow_extra
class Citation(TypedDict):
    """Origin of a stored message."""

    label: str
    folder: str
    timestamp: NotRequired[Optional[Timestamp]]


@allow_extra
class MessageMetadata(TypedDict):
    """Metadata of a message from the controller."""

    citation: NotRequired[Optional[Citation]]


@allow_extra
class Message(TypedDict):
    """A message; the keys after ``content`` are present on stored messages.

    ``score`` and ``found_by`` are present on search results of this library, ``label`` and ``folder`` on results of a
    full-text search in the view of a folder.
    """

    role: str
    content: MessageContent
    id: NotRequired[Optional[str]]
    conversation_id: NotRequired[Optional[str]]
    timestamp: NotRequired[Optional[Timestamp]]
    embedding_id: NotRequired[Optional[str]]
    metadata: NotRequired[Optional[MessageMetadata]]
    score: NotRequired[float]
    found_by: NotRequired[FoundBy]
    label: NotRequired[Optional[str]]
    folder: NotRequired[Optional[str]]
