"""A Sekha memory as a small JSON API: search, store, and read a conversation."""

from __future__ import annotations

import atexit
import json
import math
from http import HTTPStatus

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from sekha import (
    SekhaClient,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaValidationError,
)


def create_app(client: SekhaClient | None = None) -> Flask:
    """The application; its threads share one client.

    Args:
        client: A client for it, as in a test; whoever made it closes it. Without one, it makes its own from the
            environment (`SEKHA_CONTROLLER_URL`, `SEKHA_API_KEY`), and closes it when the process ends.
    """
    if client is None:
        client = SekhaClient(deadline=20.0)  # seconds for a whole call, retries included
        atexit.register(client.close)
    memory = client.controller
    app = Flask(__name__)

    @app.get("/search")
    def search() -> ResponseReturnValue:
        """Return the messages that match `?q=words`, best first."""
        return {"results": memory.query(request.args.get("q", ""))["results"]}

    @app.post("/conversations")
    def store() -> ResponseReturnValue:
        """Store a conversation: `messages`, and optionally `label` and `folder`."""
        conversation = request.get_json(silent=True)  # None if it is not JSON; the library rejects it
        return memory.create_conversation(conversation), 201

    @app.get("/conversations/<conversation_id>/messages")
    def messages(conversation_id: str) -> ResponseReturnValue:
        """Return the messages of a conversation, in order."""
        return {"messages": memory.get_messages(conversation_id)}

    @app.errorhandler(SekhaError)
    def sekha_failed(error: SekhaError) -> Response:
        app.logger.warning("%s", error)  # one line with call, error and attempts; never a key
        return problem_of(error)

    return app


def problem_of(error: SekhaError) -> Response:
    """The answer for an error of the library.

    What is wrong with a request is told in the library's words; the words of other errors are for the log, since they
    may name our servers.
    """
    unsure = error.may_have_been_applied
    if isinstance(error, SekhaValidationError):
        return problem(error.status_code, error.message)
    if isinstance(error, SekhaNotFoundError):
        return problem(404, "There is no such conversation.")
    if isinstance(error, (SekhaConnectionError, SekhaRateLimitError)):
        answer = problem(503, "The memory is busy or cannot be reached.", unsure)
        if not unsure:  # otherwise clients might retry a write that succeeded
            asked = error.retry_after if isinstance(error, SekhaRateLimitError) else None
            answer.headers["Retry-After"] = str(math.ceil(asked or 5))
        return answer
    return problem(502, "The memory failed; the reason is in the log.", unsure)  # also if the API key is wrong


def problem(status: int, detail: str, may_have_been_applied: bool = False) -> Response:
    """An error as JSON (RFC 9457)."""
    body = {
        "status": status,
        "title": HTTPStatus(status).phrase,
        "detail": detail,
        "may_have_been_applied": may_have_been_applied,
    }
    return Response(json.dumps(body), status, mimetype="application/problem+json")
