"""Calls: endpoints, requests, responses, and parsers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar, cast
from urllib.parse import quote, urlencode

from pydantic_core import SchemaValidator, ValidationError, from_json

from sekha._api.error_response import error_from_response, error_in_success, has_error, keep_headers
from sekha._api.schemas import validator_for
from sekha._api.validation import error_path, format_path
from sekha._utils.json_access import as_object, get
from sekha.errors import BODY_LIMIT, SekhaAPIError, SekhaDecodeError

T = TypeVar("T")


class Service(str, Enum):
    """The services; each may have its own key."""

    CONTROLLER = "controller"
    MCP = "mcp"
    BRIDGE = "bridge"


class RetryIfUnknown(Enum):
    """Whether a call may be retried if the outcome of an attempt is unknown."""

    YES = "yes"  # it is idempotent
    ONCE = "once"  # nothing is stored, but it uses a model
    NO = "no"  # the effect would happen twice


# Responses


_KEYS_OF_ERRORS_TOO = frozenset({"created", "id", "model", "object", "status"})
"""Keys that an error may share with a result."""


class Response(NamedTuple):
    """A response of a server.

    Attributes:
        status: HTTP status.
        headers: Response headers, names in lower case.
        body: The body, or the part that could be read.
        problem: Why the body is incomplete, if it is.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str = ""

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become replacement characters."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as data.

        Raises:
            ValueError: The body is not JSON.
        """
        return from_json(self.body)


class ErrorOverride(NamedTuple):
    """Meaning of an error response whose status alone is misleading."""

    cls: type[SekhaAPIError] | None = None
    hint: str = ""
    retryable: bool = True


class ResponseParser(Generic[T]):
    """Converts the responses of an endpoint to its result.

    Args:
        schema: The documented type; a response with another format is a `SekhaDecodeError`. None without a result.
        normalize: Converts responses to the documented type; None if they are the same.
        ok_statuses: Statuses besides 2xx that are not errors.
        map_error: Returns the meaning of an error response for its status and message.
    """

    def __init__(
        self,
        schema: Any,
        normalize: Callable[[Response], object] | None = None,
        *,
        ok_statuses: frozenset[int] = frozenset(),
        map_error: Callable[[int, str], ErrorOverride] | None = None,
    ) -> None:
        self._schema = schema
        self._normalize = normalize
        self._ok_statuses = ok_statuses
        self._map_error = map_error
        self._validator: SchemaValidator | None = None

    @property
    def validator(self) -> SchemaValidator:
        """The validator, built on first use."""
        if self._validator is None:
            self._validator = validator_for(self._schema)
        return self._validator

    def parse(self, response: Response, endpoint: Endpoint[Any]) -> T:
        """Return the result in a response of an endpoint.

        Raises:
            SekhaAPIError: The server rejected the request, failed, or returned 2xx with an error.
            SekhaDecodeError: The response does not have the documented format.
        """
        try:
            return self._parse(response, endpoint)
        except SekhaAPIError as error:
            keep_headers(error, response.headers)
            raise

    def _parse(self, response: Response, endpoint: Endpoint[Any]) -> T:
        if not (200 <= response.status < 300 or response.status in self._ok_statuses):
            raise self._error(response, endpoint)
        if self._schema in (None, str):  # any body is accepted
            if self._is_error(response):
                raise _error_in_success(response, endpoint)
            if self._schema is None:
                return cast(T, None)
            if response.problem:
                raise _decode_error(response, endpoint, response.problem)
        data: Any = None
        try:
            if self._normalize is None:
                return cast(T, self.validator.validate_json(response.body, strict=True))
            data = self._normalize(response)
            return cast(T, self.validator.validate_python(data, strict=True))
        except ValidationError as error:
            if self._is_error(response):
                raise _error_in_success(response, endpoint) from None
            first = cast("Mapping[str, Any]", error.errors(include_url=False, include_context=False)[0])
            if first["type"] == "json_invalid":
                problem = "the response is not valid JSON"
            else:
                found = data if self._normalize is not None else from_json(response.body)
                path = format_path(error_path(first, found)).replace("the request", "the response")
                problem = f"{path}: {first['msg']}"
            raise _decode_error(response, endpoint, problem) from None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            if isinstance(error, SekhaAPIError):
                raise
            if self._is_error(response):
                raise _error_in_success(response, endpoint) from None
            raise _decode_error(response, endpoint, "the response is not valid JSON, or has another format") from None

    def _is_error(self, response: Response) -> bool:
        """Return whether a 2xx response is an error by its body, which has no key of the result."""
        if response.body.lstrip()[:1] != b"{":
            return False
        try:
            data = as_object(response.json()) or {}
        except ValueError:
            return False
        required: frozenset[str] = getattr(self._schema, "__required_keys__", _KEYS_OF_ERRORS_TOO)
        result_keys = required - _KEYS_OF_ERRORS_TOO
        return any(  # a tool has an envelope around its result
            has_error(found, certain=self._schema in (None, str)) and not result_keys & set(found)
            for found in (data, as_object(get(data, "data")) or {})
        )

    def _error(self, response: Response, endpoint: Endpoint[Any]) -> SekhaAPIError:
        details = (endpoint.method, endpoint.path, response.status, response.headers, response.body)
        error = error_from_response(*details, problem=response.problem)
        override = self._map_error(response.status, error.message) if self._map_error is not None else ErrorOverride()
        if override.cls is not None or override.hint:
            error = error_from_response(*details, cls=override.cls, hint=override.hint, problem=response.problem)
            error._retryable = override.retryable
        return error


def _error_in_success(response: Response, endpoint: Endpoint[Any]) -> SekhaAPIError:
    return error_in_success(endpoint.method, endpoint.path, response.headers, response.body, status=response.status)


def _decode_error(response: Response, endpoint: Endpoint[Any], problem: str) -> SekhaDecodeError:
    return SekhaDecodeError(
        f"the response does not have the documented format: {problem}",
        status_code=response.status,
        body=response.text[:BODY_LIMIT],
        method=endpoint.method,
        path=endpoint.path,
        may_have_been_applied=endpoint.outcome_matters,
    )


# Requests


@dataclass(frozen=True)
class Endpoint(Generic[T]):
    """A row of the table of endpoints.

    Attributes:
        name: Name of the call.
        service: The service that responds.
        method: HTTP method.
        path: Path with ``{id}`` in place of an ID.
        retry_if_unknown: Whether it may be retried after an attempt with an unknown outcome.
        parser: Converts a response to the result.
        outcome_matters: Whether it changes something, so that an unknown outcome is reported.
        waits_for_model: Whether the response waits for a model or an embedder, and may take long.
        uses_write_slot: Whether it stores messages; controllers support only a few concurrent ones.
        sent_at_once: Whether it waits neither for the rate limit, which counts it, nor for a free connection: health
            checks test the server, not the load of this client.
    """

    name: str
    service: Service
    method: str
    path: str
    retry_if_unknown: RetryIfUnknown
    parser: ResponseParser[T]
    outcome_matters: bool = False
    waits_for_model: bool = False
    uses_write_slot: bool = False
    sent_at_once: bool = False

    def request(
        self,
        body: Mapping[str, Any] | None = None,
        *,
        id: str = "",
        query: Mapping[str, object] | None = None,
    ) -> Request[T]:
        """Return a call of this endpoint.

        Args:
            body: JSON body, plain data; it is serialized here, once for all attempts.
            id: What replaces ``{id}``.
            query: Query parameters; those that are None are omitted.
        """
        path = self.path.replace("{id}", quote(id, safe=""))
        parameters = {key: _query_value(value) for key, value in (query or {}).items() if value is not None}
        if parameters:
            path = f"{path}?{urlencode(parameters)}"
        return Request(self, path, to_json(body) if body is not None else None)


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call, ready to be sent any number of times with the same bytes."""

    endpoint: Endpoint[T]
    path: str
    content: bytes | None = field(default=None, repr=False)  # with the user's text


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def to_json(body: Mapping[str, Any]) -> bytes:
    """Return plain data as compact UTF-8 JSON."""
    return _ENCODER.encode(body).encode()


def _query_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
