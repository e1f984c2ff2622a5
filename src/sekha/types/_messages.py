"""Messages, and the words that they and their conversations use."""

from enum import Enum
from typing import List, Optional, Union

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import Timestamp, allow_extra


class MessageRole(str, Enum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FUNCTION = "function"
    TOOL = "tool"


class ConversationStatus(str, Enum):
    """Whether a conversation is in use or put away."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class SummaryLevel(str, Enum):
    """How far back a summary looks."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class PruneRecommendation(str, Enum):
    """What the controller advises for an old conversation."""

    KEEP = "keep"
    ARCHIVE = "archive"


@allow_extra
class ImageURL(TypedDict):
    """Where an image is: an address, or ``data:`` with the image itself."""

    url: str
    detail: NotRequired[Optional[str]]


@allow_extra
class ContentPart(TypedDict):
    """A piece of a message: ``{"type": "text", "text": ...}`` or ``{"type": "image_url", "image_url": ...}``."""

    type: str
    text: NotRequired[Optional[str]]
    image_url: NotRequired[Union[ImageURL, str, None]]


MessageContent = Union[str, List[ContentPart]]
"""What a message says: a text, or parts of text and images."""


FoundBy = Literal["meaning", "words", "both"]
"""What found a message: the search by meaning, the full-text search, or both."""


@allow_extra
class Citation(TypedDict):
    """Where a remembered message comes from."""

    label: str
    folder: str
    timestamp: NotRequired[Optional[Timestamp]]


@allow_extra
class MessageMetadata(TypedDict):
    """What the controller says about a message."""

    citation: NotRequired[Optional[Citation]]


@allow_extra
class Message(TypedDict):
    """A message; the keys after ``content`` are there when it comes from the memory.

    ``score`` and ``found_by`` are there when a search of this library found it, ``label`` and ``folder`` when a
    full-text search in the view of a folder did.
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
