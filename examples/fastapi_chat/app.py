"""Ask a memory in the browser: one client in the lifespan, answers as JSON, and answers streamed to a page."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, StringConstraints
from starlette.types import Receive, Scope, Send

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
from sekha.types import Message

PAGE = Path(__file__).with_name("index.html")
log = logging.getLogger(__name__)


class State(TypedDict):
    """What lives as long as the application."""

    client: AsyncSekhaClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with AsyncSekhaClient() as client:  # addresses and keys come from the environment
        yield {"client": client}


def sekha_client(request: Request) -> AsyncSekhaClient:
    client: AsyncSekhaClient = request.state.client
    return client


Client = Annotated[AsyncSekhaClient, Depends(sekha_client)]
app = FastAPI(title="Sekha chat", lifespan=lifespan)


class Question(BaseModel):
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Answer(BaseModel):
    answer: str
    model: str


class Memory(TypedDict):
    """A remembered message, as the page shows it."""

    label: str
    folder: str
    role: str
    text: str


class EventStream(StreamingResponse):
    """Server-sent events from a generator that is closed when the response ends, whatever ends it.

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


@app.post("/api/ask")
async def ask(asked: Question, client: Client) -> Answer:
    """The whole answer at once."""
    completion = await client.complete_with_context(asked.question, asked.question)
    return Answer(answer=extract_text(completion["choices"][0]["message"]["content"]), model=completion["model"])


@app.post("/api/stream")
async def stream(asked: Question, client: Client) -> EventStream:
    """Server-sent events: `memories`, then `token` for each piece of the answer, then `done`, or `error`."""
    context = await client.controller.assemble_context(asked.question)  # before the status is sent: it may fail
    return EventStream(events(client, asked.question, [memory(message) for message in context]))


async def events(client: AsyncSekhaClient, question: str, memories: list[Memory]) -> AsyncGenerator[str, None]:
    yield event("memories", memories)
    try:
        async with await client.stream_with_context(question, question) as answer:
            async for text in answer.text_stream():
                yield event("token", text)
    except SekhaError as error:
        yield event("error", problem(error)[1])
    else:
        yield event("done", None)


def event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"  # JSON has no line breaks, which would end the data


def memory(message: Message) -> Memory:
    citation = (message.get("metadata") or {}).get("citation")
    return {
        "label": citation["label"] if citation else "",
        "folder": citation["folder"] if citation else "",
        "role": message["role"],
        "text": extract_text(message["content"]),
    }


@app.exception_handler(SekhaError)
async def failed(_: Request, error: SekhaError) -> JSONResponse:
    status, detail = problem(error)
    wait = error.retry_after if isinstance(error, SekhaRateLimitError) else None
    return JSONResponse({"detail": detail}, status, None if wait is None else {"retry-after": str(ceil(wait))})


def problem(error: SekhaError) -> tuple[int, str]:
    """The HTTP status for an error, and what a visitor may know; addresses and the server's words are for the log."""
    log.warning("%s: %s", type(error).__name__, error)
    if isinstance(error, SekhaValidationError):
        return 422, "Sekha did not accept the question."
    if isinstance(error, SekhaRateLimitError):
        return 429, "There are too many questions at the moment. Try again later."
    if isinstance(error, SekhaStreamError):
        return 502, "The answer broke off."
    if isinstance(error, SekhaTimeoutError):
        return 504, "Sekha took too long to answer."
    if isinstance(error, SekhaConnectionError):
        return 503, "Sekha cannot be reached."
    return 502, "Sekha could not answer."
