"""HTTP of the controller and its MCP tools: keys, bodies, IDs and query strings, and error responses for each."""

from __future__ import annotations

import hmac
import json
import re
import sqlite3
from datetime import datetime
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typing_extensions import Annotated, TypeGuard

from sekha.local.data_file import DataFileError, DiskFullError, damaged, is_damage
from sekha.local.models import ModelError
from sekha.local.records import NotFound
from sekha.local.uuids import explain_invalid_uuid, parse_uuid
from sekha.types._base import normalize_timestamp

MAX_BODY = 2 * 2**20
"""Maximum size of a request body in bytes."""

DRAIN_LIMIT = 16 * MAX_BODY
"""Maximum number of bytes to read of a rejected body, so that the client can read the error response."""
JSON_CONTENT_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_WRONG_FORMAT = "Invalid authorization format"
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
BodyType = TypeVar("BodyType", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]
RouteTable = Sequence[Tuple[str, str, Handler]]


class Refused(Exception):
    """The request is rejected with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class AppError(Exception):
    """An error of the controller, sent as `{"error": ..., "code": ...}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Body(BaseModel):
    """A JSON body: types are strict (1.0 is not an integer), unknown keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


def is_list(value: Any) -> TypeGuard[List[Any]]:
    """Return whether JSON is a list; type checkers narrow the type."""
    return isinstance(value, list)


def is_object(value: Any) -> TypeGuard[Dict[str, Any]]:
    """Return whether JSON is an object; type checkers narrow the type."""
    return isinstance(value, dict)


def flatten_content(content: Any) -> Any:
    """Join content parts to one text (an image becomes its URL); return other values for the type to reject."""
    if not is_list(content):
        return content
    try:
        texts: List[Any] = [part["text"] if part["type"] == "text" else part["image_url"] for part in content]
        return "\n".join(part if isinstance(part, str) else part["url"] for part in texts)
    except (KeyError, TypeError):
        return content


Content = Annotated[str, BeforeValidator(flatten_content)]
U32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
USize = Annotated[int, Field(ge=0, le=2**64 - 1)]
I64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
I32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


def store_timestamp(value: Any) -> Any:
    """Return a timestamp in the format of the store; return other values than strings for the type to reject.

    Raises:
        ValueError: The text is not a date with a time.
    """
    if not isinstance(value, str):
        return value
    utc = normalize_timestamp(value)
    if not (_UTC.fullmatch(utc) and _is_moment(utc)):
        raise ValueError("must be a date with a time, such as 2026-01-31T09:30:00Z")
    return utc.replace("+00:00", "000")


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:  # such as February 30
        return False
    return True


Timestamp = Annotated[Optional[str], BeforeValidator(store_timestamp)]


class MessageIn(Body):
    """A message in a request."""

    role: str
    content: Content
    timestamp: Timestamp = None


def check_key(request: Request, api_key: Optional[str]) -> None:
    """Raise Refused unless the header is exactly `Bearer <key>`; without an `api_key` any non-empty key is accepted."""
    problem = find_key_problem(request, api_key)
    if problem is not None:
        raise Refused(JSONResponse({"error": problem}, 400 if problem == _WRONG_FORMAT else 401))


def find_key_problem(request: Request, api_key: Optional[str]) -> Optional[str]:
    """Return the error for the key of a request; None if the key is accepted."""
    header = request.headers.get("authorization")
    if header is None or not header.isascii():
        return "Missing authorization header"
    if not header.startswith("Bearer "):
        return _WRONG_FORMAT
    key = header[len("Bearer ") :]
    accepted = hmac.compare_digest(key.encode(), api_key.encode()) if api_key is not None else bool(key)
    return None if accepted else "Invalid API key"


async def read_body(request: Request, limit: int = MAX_BODY) -> Optional[bytes]:
    """Return the body of a request; None if it is larger than the limit.

    The rest is then read up to `DRAIN_LIMIT` and dropped. Nothing is read if `Content-Length` is larger than that.
    """
    length = request.headers.get("content-length", "0")
    if len(length) > 18 or int(length) > DRAIN_LIMIT:
        return None
    chunks: List[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > DRAIN_LIMIT:
            break
    return b"".join(chunks) if size <= limit else None


async def read_json_body(request: Request) -> bytes:
    """Return the bytes of a body whose content type is JSON; raise Refused with 413 or 415."""
    if not JSON_CONTENT_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise Refused(PlainTextResponse("Expected request with `Content-Type: application/json`", 415))
    data = await read_body(request)
    if data is None:
        raise Refused(PlainTextResponse("Failed to buffer the request body: length limit exceeded", 413))
    return data


def malformed_json(reason: object) -> Refused:
    """Return the error response to a body that is not JSON."""
    return Refused(PlainTextResponse(f"Failed to parse the request body as JSON: {reason}", 400))


def invalid_body(reason: object) -> Refused:
    """Return the error response to JSON that does not match the schema."""
    return Refused(PlainTextResponse(f"Failed to deserialize the JSON body into the target type: {reason}", 422))


async def parse(request: Request, model: Type[BodyType]) -> BodyType:
    """Parse the JSON body of a request; raise Refused with 400, 413, 415 or 422 and the reason."""
    data = await read_json_body(request)
    check_json(data)
    return validate_json(data, model)


def check_json(data: bytes) -> None:
    """Raise Refused with 400 if a body is not JSON."""
    try:
        from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise malformed_json(error) from error


def validate_json(data: Union[bytes, str], model: Type[BodyType]) -> BodyType:
    """Validate a body that is JSON; raise Refused with 422 and the name of the field."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise invalid_body(_describe_error(error.errors(include_url=False)[0])) from error


def path_id(request: Request) -> str:
    """Return the ID in the path of a request as a hyphenated UUID; raise Refused with 400 if it is not a UUID."""
    value = request.path_params["id"]
    try:
        return str(parse_uuid(value))
    except ValueError as error:
        raise _plain_refusal(400, f"Invalid URL: Cannot parse `id` with value `{value}`: {error}") from error


def parse_bool(text: str) -> bool:
    """Parse `true` or `false` of a query string."""
    if text not in ("true", "false"):
        raise ValueError("provided string was not `true` or `false`")
    return text == "true"


def parse_u32(text: str) -> int:
    """Parse a number of a query string."""
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise ValueError("invalid digit found in string" if text else "cannot parse integer from empty string")
    if len(text) > 20 or int(text) >= 2**32:
        raise ValueError("number too large to fit in target type")
    return int(text)


def parse_query(request: Request, parsers: Mapping[str, Callable[[str], Any]]) -> Dict[str, Any]:
    """Parse the parameters of a query string that have a parser; others are ignored."""
    values: Dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name in values:
            raise _plain_refusal(400, f"Failed to deserialize query string: duplicate field `{name}`")
        try:
            if name in parsers:
                values[name] = parsers[name](text)
        except ValueError as error:
            raise _plain_refusal(400, f"Failed to deserialize query string: {name}: {error}") from error
    return values


def empty_response(status: int = 200) -> Response:
    """Return a response without a body."""
    return Response(status_code=status)


def build_routes(table: RouteTable, guard: Callable[[Request], None]) -> List[Route]:
    """Build the routes of a table of (method, path, handler); `guard` runs before each handler."""
    paths: Dict[str, Dict[str, Handler]] = {}
    for method, path, handler in table:
        paths.setdefault(path, {})[method] = handler

    def endpoint(handlers: Dict[str, Handler]) -> Handler:
        async def serve(request: Request) -> Response:
            guard(request)
            return await handlers["GET" if request.method == "HEAD" else request.method](request)

        return serve

    return [Route(path, endpoint(handlers), methods=list(handlers)) for path, handlers in paths.items()]


def list_routes(app: Any) -> Tuple[str, ...]:
    """List the routes of an application in matching order, such as `GET /api/v1/conversations/{id}`."""
    while not isinstance(app, Starlette):
        app = app.app  # a middleware
    routes = [route for route in app.routes if isinstance(route, Route)]
    return tuple(f"{method} {route.path}" for route in routes for method in sorted(route.methods or ()))


def _on_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response


def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(status_code=error.status_code, headers=error.headers)


def client_disconnected(_: Request, error: Exception) -> Response:
    """Return a response for a client that disconnected during its request."""
    return empty_response(400)


def _on_error(request: Request, error: Exception) -> Response:
    """Return an error of the controller: the REST routes send a body, the MCP tools none."""
    status, text = 500, str(error)
    if isinstance(error, NotFound):
        status, text = 404, f"Entity not found: Conversation {error} not found"
    elif isinstance(error, AppError):
        status = error.status
    elif isinstance(error, ModelError):
        text = f"Embedding error: {error}"
    elif isinstance(error, DataFileError):
        return _on_data_file_error(error)
    elif is_damage(error):
        return _on_data_file_error(DataFileError(damaged(text)))
    else:
        text = f"Database error: Query Error: error returned from database: (code: 1) {error}"
    if request.url.path.startswith("/mcp/"):
        return empty_response(status)
    return JSONResponse({"error": text, "code": status}, status)


def _on_data_file_error(error: DataFileError) -> Response:
    """Return an error response after which nothing was changed: 507 for a full disk, else 503 with `Retry-After`."""
    if isinstance(error, DiskFullError):
        return JSONResponse({"error": str(error), "code": 507}, 507)
    return JSONResponse({"error": str(error), "code": 503}, 503, headers={"retry-after": str(error.retry_after)})


EXCEPTION_HANDLERS: Dict[Any, Callable[[Request, Exception], Response]] = {
    Refused: _on_refused,
    HTTPException: _on_http_exception,
    ClientDisconnect: client_disconnected,
    NotFound: _on_error,
    AppError: _on_error,
    ModelError: _on_error,
    sqlite3.Error: _on_error,
}
"""The controller's response to each kind of error."""

_EXPECTED = {"string": "a string", "int": "an integer", "bool": "a boolean", "float": "a number", "list": "a sequence"}
_EXPECTED.update(model="a struct", uuid="a UUID string")


def _describe_error(error: ErrorDetails) -> str:
    """Describe a validation error, with the path of the field."""
    *steps, last = error["loc"] or ("",)
    kind, _, problem = error["type"].rpartition("_")
    if error["type"] == "missing":
        reason = f"missing field `{last}`"
    else:
        steps.append(last)
        if error["type"] == "uuid_parsing":
            reason = f"UUID parsing failed: {explain_invalid_uuid(error['input'])}"
        elif problem == "type":
            reason = f"invalid type: {_describe_value(error['input'])}, expected {_EXPECTED.get(kind, kind)}"
        else:
            reason = f"invalid value: {_describe_value(error['input'])}, {error['msg'][:1].lower()}{error['msg'][1:]}"
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    return f"{path}: {reason}" if path else reason


def _describe_value(value: Any) -> str:
    kinds = {"bool": "boolean", "int": "integer", "float": "floating point", "str": "string"}
    kind = {**kinds, "list": "sequence", "dict": "map"}.get(value.__class__.__name__, "null")
    return kind if kind in ("sequence", "map", "null") else f"{kind} `{json.dumps(value, ensure_ascii=False)[:200]}`"


def _plain_refusal(status: int, text: str) -> Refused:
    return Refused(PlainTextResponse(text, status))
