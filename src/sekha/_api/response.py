"""An answer becomes the promised result, or the right error; decided by nothing but its bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from sekha._api.error_response import error_from_response
from sekha._api.validation import error_path, format_path
from sekha.errors import BODY_LIMIT, SekhaAPIError, SekhaDecodeError

T = TypeVar("T")


class Answer(NamedTuple):
    """What a server sent: status, headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 become replacement characters."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as data.

        Raises:
            ValueError: It is no JSON.
        """
        return from_json(self.body)


class Route(Protocol):
    """Where an answer comes from, for the error that it may become.

    Attributes:
        method: HTTP method.
        path: Path template.
        writes: Whether a call changes something, so that an unknown outcome must be told.
    """

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def writes(self) -> bool: ...


class Meaning(NamedTuple):
    """What an error answer means, where the status alone would mislead."""

    cls: type[SekhaAPIError] | None = None
    hint: str = ""
    final: bool = False
    """Whether repeating the call cannot help."""


class Reader(Generic[T]):
    """How the answers of one endpoint are read.

    Args:
        shape: The promised type; what does not fit is a `SekhaDecodeError`.
        adapt: From what the server says to what was promised; None where they are the same.
        accepts: Statuses besides 2xx that are answers and not errors.
        meaning: What an error answer means, from its status and the server's words.
    """

    def __init__(
        self,
        shape: Any,
        adapt: Callable[[Answer], object] | None = None,
        *,
        accepts: frozenset[int] = frozenset(),
        meaning: Callable[[int, str], Meaning] | None = None,
    ) -> None:
        self._shape = shape
        self._adapt = adapt
        self._accepts = accepts
        self._meaning = meaning
        self._adapter: TypeAdapter[Any] | None = None

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The validator, built when first needed."""
        if self._adapter is None:
            self._adapter = TypeAdapter(self._shape)
        return self._adapter

    def read(self, answer: Answer, route: Route) -> T:
        """The result that an answer of a route carries.

        Raises:
            SekhaAPIError: The server refused or failed.
            SekhaDecodeError: The answer does not have the promised shape.
        """
        if not (200 <= answer.status < 300 or answer.status in self._accepts):
            raise self._error(answer, route)
        if self._shape is None:
            return cast(T, None)
        data: Any = None
        try:
            if self._adapt is None:
                return cast(T, self.adapter.validate_json(answer.body, strict=True))
            data = self._adapt(answer)
            return cast(T, self.adapter.validate_python(data, strict=True))
        except ValidationError as error:
            first = cast("Mapping[str, Any]", error.errors(include_url=False, include_context=False)[0])
            if first["type"] == "json_invalid":
                problem = "the answer is no JSON"
            else:
                found = data if self._adapt is not None else from_json(answer.body)
                problem = (
                    f"{format_path(error_path(first, found)).replace('the request', 'the answer')}: {first['msg']}"
                )
            raise _misfit(answer, route, problem) from None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            if isinstance(error, SekhaAPIError):
                raise
            raise _misfit(answer, route, "the answer is no JSON, or of another shape") from None

    def _error(self, answer: Answer, route: Route) -> SekhaAPIError:
        error = error_from_response(route.method, route.path, answer.status, answer.headers, answer.body)
        if self._meaning is None:
            return error
        meaning = self._meaning(answer.status, error.message)
        if meaning.cls is not None or meaning.hint:
            error = error_from_response(
                route.method,
                route.path,
                answer.status,
                answer.headers,
                answer.body,
                cls=meaning.cls,
                hint=meaning.hint,
            )
            error._retryable = not meaning.final
        return error


def _misfit(answer: Answer, route: Route, problem: str) -> SekhaDecodeError:
    return SekhaDecodeError(
        f"the answer does not have the promised shape: {problem}",
        status_code=answer.status,
        body=answer.text[:BODY_LIMIT],
        method=route.method,
        path=route.path,
        may_have_been_applied=route.writes,
    )
