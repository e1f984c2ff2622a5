"""What the controller and its MCP tools share on the wire: keys, bodies, ids, queries, and how each is refused."""

from __future__ import annotations

import hmac
import json
import re
import sqlite3
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typing_extensions import Annotated, TypeGuard

from sekha.local.memory import NotFound
from sekha.local.models import ModelError
from sekha.local.uuids import no_uuid, read_uuid

MAX_BODY = 2 * 2**20
"""Bytes of a body that the controller reads."""

_DRAINED = 16 * MAX_BODY
JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
BodyType = TypeVar("BodyType", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]
Table = Sequence[Tuple[str, str, Handler]]


class Refused(Exception):
    """The answer to a request that cannot be served."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class AppError(Exception):
    """An error of the controller: `{"error": ..., "code": ...}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Body(BaseModel):
    """A JSON body: types are strict (1.0 is no integer), unknown keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


def is_list(value: Any) -> TypeGuard[List[Any]]:
    """Whether JSON is a list, in words that the type checkers understand."""
    return isinstance(value, list)


def is_object(value: Any) -> TypeGuard[Dict[str, Any]]:
    """Whether JSON is an object."""
    return isinstance(value, dict)


def flatten(content: Any) -> Any:
    """Content parts as one text (an image becomes its address); anything else unchanged, for the type to refuse."""
    if not is_list(content):
        return content
    try:
        found: List[Any] = [part["text"] if part["type"] == "text" else part["image_url"] for part in content]
        return "\n".join(part if isinstance(part, str) else part["url"] for part in found)
    except (KeyError, TypeError):
        return content


Content = Annotated[str, BeforeValidator(flatten)]
U32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
USize = Annotated[int, Field(ge=0, le=2**64 - 1)]
I64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
I32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class MessageIn(Body):
    """A message as it is sent."""

    role: str
    content: Content


def check_key(request: Request, api_key: Optional[str]) -> None:
    """The header must be exactly `Bearer <key>`; without a key of our own any key will do, but there must be one."""
    header = request.headers.get("authorization")
    if header is None or not header.isascii():
        raise Refused(JSONResponse({"error": "Missing authorization header"}, 401))
    if not header.startswith("Bearer "):
        raise Refused(JSONResponse({"error": "Invalid authorization format"}, 400))
    key = header[len("Bearer ") :]
    if not (hmac.compare_digest(key.encode(), api_key.encode()) if api_key is not None else key):
        raise Refused(JSONResponse({"error": "Invalid API key"}, 401))


async def read(request: Request, limit: int = MAX_BODY) -> Optional[bytes]:
    """The body of a request; None if it is longer than the limit (then it is read on, but not kept)."""
    chunks: List[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > _DRAINED:
            break
    return b"".join(chunks) if size <= limit else None


async def json_body(request: Request) -> bytes:
    """The bytes of a body that says it is JSON, or Refused with 413 or 415."""
    if not JSON_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise Refused(PlainTextResponse("Expected request with `Content-Type: application/json`", 415))
    data = await read(request)
    if data is None:
        raise Refused(PlainTextResponse("Failed to buffer the request body: length limit exceeded", 413))
    return data


def no_json(reason: object) -> Refused:
    """How a body that is not JSON is refused."""
    return Refused(PlainTextResponse(f"Failed to parse the request body as JSON: {reason}", 400))


def no_fit(reason: object) -> Refused:
    """How JSON that is not what was expected is refused."""
    return Refused(PlainTextResponse(f"Failed to deserialize the JSON body into the target type: {reason}", 422))


async def parse(request: Request, model: Type[BodyType]) -> BodyType:
    """The JSON body of a request, or Refused with 400, 413, 415 or 422 and a text that says why."""
    data = await json_body(request)
    try:
        from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise no_json(error) from error
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise no_fit(_reason(error.errors(include_url=False)[0])) from error


def path_id(request: Request) -> str:
    """The conversation in the path of a request, as a hyphenated UUID."""
    value = request.path_params["id"]
    try:
        return str(read_uuid(value))
    except ValueError as error:
        raise _text(400, f"Invalid URL: Cannot parse `id` with value `{value}`: {error}") from error


def boolean(text: str) -> bool:
    """`true` or `false` in a query string."""
    if text not in ("true", "false"):
        raise ValueError("provided string was not `true` or `false`")
    return text == "true"


def u32(text: str) -> int:
    """A number in a query string."""
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise ValueError("invalid digit found in string" if text else "cannot parse integer from empty string")
    if len(text) > 20 or int(text) >= 2**32:
        raise ValueError("number too large to fit in target type")
    return int(text)


def query_string(request: Request, known: Mapping[str, Callable[[str], Any]]) -> Dict[str, Any]:
    """The known parameters of a query string, each with what reads it; others are ignored."""
    found: Dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name in found:
            raise _text(400, f"Failed to deserialize query string: duplicate field `{name}`")
        try:
            if name in known:
                found[name] = known[name](text)
        except ValueError as error:
            raise _text(400, f"Failed to deserialize query string: {name}: {error}") from error
    return found


def empty(status: int = 200) -> Response:
    """An answer without a body."""
    return Response(status_code=status)


def routes(table: Table, guard: Callable[[Request], None]) -> List[Route]:
    """Routes for a table of (method, path, handler); `guard` is asked before each handler."""
    paths: Dict[str, Dict[str, Handler]] = {}
    for method, path, handler in table:
        paths.setdefault(path, {})[method] = handler

    def endpoint(handlers: Dict[str, Handler]) -> Handler:
        async def serve(request: Request) -> Response:
            guard(request)
            return await handlers["GET" if request.method == "HEAD" else request.method](request)

        return serve

    return [Route(path, endpoint(handlers), methods=list(handlers)) for path, handlers in paths.items()]


def routes_of(app: Any) -> Tuple[str, ...]:
    """The routes of an application in the order in which they are tried, such as `GET /api/v1/conversations/{id}`."""
    while not isinstance(app, Starlette):
        app = app.app  # something that stands before it
    found = [route for route in app.routes if isinstance(route, Route)]
    return tuple(f"{method} {route.path}" for route in found for method in sorted(route.methods or ()))


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(status_code=error.status_code, headers=error.headers)


def gone(_: Request, error: Exception) -> Response:
    """What nobody will read: the client left in the middle of its request."""
    return empty(400)


def _failed(request: Request, error: Exception) -> Response:
    """An error of the controller as the REST routes (with a body) or the MCP tools (without one) tell it."""
    status, text = 500, str(error)
    if isinstance(error, NotFound):
        status, text = 404, f"Entity not found: Conversation {error} not found"
    elif isinstance(error, AppError):
        status = error.status
    elif isinstance(error, ModelError):
        text = f"Embedding error: {error}"
    else:
        text = f"Database error: Query Error: error returned from database: (code: 1) {error}"
    if request.url.path.startswith("/mcp/"):
        return empty(status)
    return JSONResponse({"error": text, "code": status}, status)


HANDLERS: Dict[Any, Callable[[Request, Exception], Response]] = {
    Refused: _refused,
    HTTPException: _http,
    ClientDisconnect: gone,
    NotFound: _failed,
    AppError: _failed,
    ModelError: _failed,
    sqlite3.Error: _failed,
}
"""How the controller answers each kind of error."""

_EXPECTED = {"string": "a string", "int": "an integer", "bool": "a boolean", "float": "a number", "list": "a sequence"}
_EXPECTED.update(model="a struct", uuid="a UUID string")


def _reason(error: ErrorDetails) -> str:
    """A validation error in the words of the real controller."""
    *steps, last = error["loc"] or ("",)
    kind, _, problem = error["type"].rpartition("_")
    if error["type"] == "missing":
        reason = f"missing field `{last}`"
    else:
        steps.append(last)
        if error["type"] == "uuid_parsing":
            reason = f"UUID parsing failed: {no_uuid(error['input'])}"
        elif problem == "type":
            reason = f"invalid type: {_describe(error['input'])}, expected {_EXPECTED.get(kind, kind)}"
        else:
            reason = f"invalid value: {_describe(error['input'])}, {error['msg'][:1].lower()}{error['msg'][1:]}"
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    return f"{path}: {reason}" if path else reason


def _describe(value: Any) -> str:
    kinds = {"bool": "boolean", "int": "integer", "float": "floating point", "str": "string"}
    kind = {**kinds, "list": "sequence", "dict": "map"}.get(value.__class__.__name__, "null")
    return kind if kind in ("sequence", "map", "null") else f"{kind} `{json.dumps(value, ensure_ascii=False)[:200]}`"


def _text(status: int, text: str) -> Refused:
    return Refused(PlainTextResponse(text, status))
