"""A chat in the browser: with history, with the sources of each answer, and with one memory for each user."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, Field, StringConstraints
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import Receive, Scope, Send
from typing_extensions import TypedDict  # pydantic requires this one before Python 3.12

from sekha import (
    AsyncSekhaClient,
    SekhaConnectionError,
    SekhaError,
    SekhaRateLimitError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from sekha.type_guards import extract_text
from sekha.types import MemoryItem

PAGE = Path(__file__).with_name("index.html")
MIN_SCORE = 0.2
"""Minimum score of memories in the prompt; a good value depends on the embedding model."""
log = logging.getLogger(__name__)


class State(TypedDict):
    """Objects that exist as long as the application."""

    client: AsyncSekhaClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with AsyncSekhaClient() as client:  # URLs and keys come from the environment
        yield {"client": client}


def user_of(request: Request) -> str:
    """Return the current user: from the session, never from the request's content."""
    user = request.session.get("user")
    if not isinstance(user, str):
        raise HTTPException(401, "Sign in first.")
    return user


User = Annotated[str, Depends(user_of)]


def memory_of(request: Request, user: User) -> AsyncSekhaClient:
    """Return the memory of the user: a view of the client that neither finds nor changes those of others."""
    client: AsyncSekhaClient = request.state.client
    return client.in_folder("/users", user)


Memory = Annotated[AsyncSekhaClient, Depends(memory_of)]
app = FastAPI(title="Sekha chat", lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("SESSION_SECRET") or secrets.token_urlsafe(32))


class SignIn(BaseModel):
    user: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Note(BaseModel):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Turn(BaseModel):
    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(min_length=1, max_length=40_000)]


class Chat(BaseModel):
    """The chat so far; its last message is the question."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=100)]


class Source(TypedDict):
    """A remembered message, as the page shows it; unknown fields are empty."""

    label: str
    folder: str
    role: str
    text: str


class Answer(BaseModel):
    answer: str
    model: str
    sources: list[Source]


class EventStream(StreamingResponse):
    """Server-sent events from a generator that is closed when the response ends, for whatever reason.

    When the browser goes away, Starlette stops sending. That cancels a generator which waits for its next piece, but
    not one that stands at a `yield`. Closed here, it leaves its `async with` in both cases: the upstream stream ends.
    Uvicorn tells at once that the browser has gone; behind servers of ASGI 2.4, Starlette sees it at the next piece.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.events.aclose()


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(PAGE)


@app.get("/api/user")
async def who(user: User) -> SignIn:
    return SignIn(user=user)


@app.post("/api/sign-in", status_code=204)
async def sign_in(wanted: SignIn, request: Request) -> Response:
    """Accept any name: replace this with your own sign-in, with passwords or a provider."""
    request.session["user"] = wanted.user
    return Response(status_code=204)


@app.post("/api/sign-out", status_code=204)
async def sign_out(request: Request) -> Response:
    request.session.clear()
    return Response(status_code=204)


@app.post("/api/remember", status_code=201)
async def remember(note: Note, memory: Memory) -> None:
    """Store a note. Chats are not stored: a search would return questions before the notes that answer them."""
    await memory.controller.create_conversation(messages=[{"role": "user", "content": note.text}], skip_existing=True)


@app.post("/api/ask")
async def ask(chat: Chat, memory: Memory) -> Answer:
    """Return the whole answer, with its sources."""
    messages = [turn.model_dump() for turn in chat.messages]
    completion = await memory.complete_with_memory(messages=messages, min_score=MIN_SCORE)
    return Answer(
        answer=extract_text(completion["choices"][0]["message"]["content"]),
        model=completion["model"],
        sources=[source(item) for item in completion["memories"]],
    )


@app.post("/api/stream")
async def stream(chat: Chat, memory: Memory) -> EventStream:
    """Server-sent events: `sources`, then `token` for each chunk of the answer, then `done`, or `error`."""
    return EventStream(events(chat, memory))


async def events(chat: Chat, memory: AsyncSekhaClient) -> AsyncGenerator[str, None]:
    messages = [turn.model_dump() for turn in chat.messages]
    try:
        async with await memory.stream_with_memory(messages=messages, min_score=MIN_SCORE) as answer:
            yield event("sources", [source(item) for item in answer.memories])
            async for text in answer.text_stream():
                yield event("token", text)
    except SekhaError as error:
        yield event("error", problem(error)[1])
    else:
        yield event("done", None)


def event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"  # JSON has no line breaks, which would end the data


def source(item: MemoryItem) -> Source:
    label, folder, role = (item[key] or "" for key in ("label", "folder", "role"))
    return {"label": label, "folder": folder, "role": role, "text": item["content"]}


@app.exception_handler(SekhaError)
async def failed(_: Request, error: SekhaError) -> JSONResponse:
    status, detail = problem(error)
    wait = error.retry_after if isinstance(error, SekhaRateLimitError) else None
    return JSONResponse({"detail": detail}, status, None if wait is None else {"retry-after": str(ceil(wait))})


def problem(error: SekhaError) -> tuple[int, str]:
    """Return the HTTP status and a public message for an error; addresses and the server's message go to the log."""
    log.warning("%s: %s", type(error).__name__, error)
    if isinstance(error, SekhaValidationError):
        return 422, "Sekha did not accept the question."
    if isinstance(error, SekhaRateLimitError):
        return 429, "There are too many questions at the moment. Try again later."
    if isinstance(error, SekhaStreamError):
        return 502, "The answer was interrupted."
    if isinstance(error, SekhaTimeoutError):
        return 504, "Sekha took too long to answer."
    if isinstance(error, SekhaConnectionError):
        return 503, "Sekha cannot be reached."
    return 502, "Sekha could not answer."
