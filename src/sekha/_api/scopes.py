"""Scope of a memory: an application, a user and a session, mapped to a folder and a label."""

from dataclasses import dataclass
from enum import Enum
from typing import Optional, cast

from sekha._api.folder_view import encode_segment
from sekha._api.validation import argument_error, to_jsonable, type_name
from sekha._utils.public import exported_from


@exported_from("sekha.memory")
@dataclass(frozen=True)
class Scope:
    """Owner of a memory: an application, a user and a session. Two users or applications never share a folder.

    Args:
        app: The application: any non-empty text, such as ``"shop"``.
        user: The user: any non-empty text. Take it from the authenticated session, never from user input.
        session: The current conversation, such as the ID of a thread. It is the label of stored messages, and recall
            excludes them. None: nothing is excluded.

    Attributes:
        app: The application.
        user: The user.
        session: The current session; None if there is none.
        folder: The user's folder in this application: ``/app/user``.

    Raises:
        SekhaValidationError: A part is empty or not a text; ``field`` names it.

    Example:
        ```python
        from sekha.memory import Scope

        print(Scope("shop", "ann@example.com", session="s2").folder)  # /shop/ann@example.com
        print(Scope("shop", "../bob").folder)  # /shop/..%2Fbob
        ```
    """

    app: str
    user: str
    session: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("app", "user"):
            encode_segment(getattr(self, name), name)
        session = cast(object, self.session)
        if session is None:
            return
        if isinstance(session, Enum):
            session = cast(object, session.value)
        if not isinstance(session, str):
            raise argument_error("session", f"must be a string, not {type_name(session)}")
        if not to_jsonable(session, ("session",)).strip():
            raise argument_error("session", "must not be blank; pass None for no session")

    @property
    def folder(self) -> str:
        """The user's folder in this application: ``/app/user``."""
        return f"/{encode_segment(self.app, 'app')}/{encode_segment(self.user, 'user')}"
