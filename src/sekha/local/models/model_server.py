"""A model server: requests, errors, and the choice of its model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any, AsyncGenerator, AsyncIterator, List, NoReturn, Optional, Sequence, Tuple
from urllib.parse import urlsplit

import httpx
from pydantic_core import from_json

from sekha._api.error_response import describe_body, truncate
from sekha._http.httpx_proxy import httpx_proxy
from sekha._http.models import HTTPSettings
from sekha._http.proxies import proxy_for
from sekha._http.tls import ssl_context
from sekha._utils.json_access import as_list, get
from sekha._utils.redaction import mask
from sekha.local.models import ModelError, ModelSettingsError
from sekha.local.models.settings import ServerSettings

PROBE_SECONDS = 3.0
"""Timeout of requests for the kind of a server, or the list of its models."""
MAX_ANSWER = 64 * 2**20
"""Maximum size in bytes of an answer, or of an event of a streamed answer."""

_ANSWER_SECONDS = 300.0
_CONNECT_SECONDS = 5.0
_CONNECTION = HTTPSettings(verify=True, cert=None, proxy=None, trust_env=True, max_connections=100, http_client=None)
_FORWARDED = frozenset({400, 401, 403, 404, 413, 422, 429, 503})
"""Statuses that the bridge passes on: the model server rejects the request, the key or the rate."""
_NOT_LISTED = frozenset({404, 405, 501})
"""Statuses of servers that do not list their models."""
_KEPT_HEADERS = ("content-type", "location", "retry-after")
_MAX_SHOWN = 300
_MAX_NAMES = 20


class ModelServer:
    """A model server; all failures raise ModelError.

    Args:
        settings: The server, its model and its key.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._address = settings.address
        self._model = settings.model
        url = settings.address.base
        proxy = proxy_for(_CONNECTION, url)
        headers = {} if settings.key is None else {"authorization": f"Bearer {settings.key.reveal()}"}
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            verify=ssl_context(_CONNECTION, url),
            proxy=httpx_proxy(proxy, None) if proxy is not None else None,
            trust_env=False,  # both are handled here, like for a Sekha server
            follow_redirects=False,  # another host must not get the key
        )

    def __str__(self) -> str:
        return f"{self._address.kind or 'model'} server {self._address.base}"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def kind(self) -> str:
        """Return `openai` or `ollama`; detect it with a request if the URL does not show it."""
        if self._address.kind is None:
            answer = await self._send("GET", "/api/version", seconds=PROBE_SECONDS)
            self._address = self._settings.address.resolved("ollama" if _has_version(answer) else "openai")
        assert self._address.kind is not None
        return self._address.kind

    async def model(self) -> str:
        """Return the default model for requests without one."""
        if self._model is None:
            return await self.check()
        return self._model

    async def check(self) -> str:
        """Return the default model for requests without one, after a check that the server has it.

        Raises:
            ModelSettingsError: The server does not have the model, has several and none is set, or rejects the key.
            ModelError: The server is not available.
        """
        try:
            names = await self._list_models()
        except ModelError as error:
            if error.status in (401, 403):
                raise ModelSettingsError(str(error), error.status) from error
            raise
        wanted = self._settings.model
        if wanted is None and names is not None and self._model in names:
            wanted = self._model
        try:
            self._model = pick_model(wanted, names, self._settings.model_setting)
        except ModelSettingsError as error:
            raise ModelSettingsError(f"{self} {error}") from None
        except ModelError as error:
            raise ModelError(f"{self} {error}", 503) from None
        return self._model

    async def check_settings(self) -> None:
        """Raise ModelSettingsError if `check` does; ignore an unavailable server, which may be started later."""
        try:
            await self.check()
        except ModelSettingsError:
            raise
        except ModelError:
            pass

    async def request_json(self, path: str, body: Any, *, allow_nan: bool = False) -> Any:
        """Send a request, and return the JSON of its answer."""
        await self.kind()
        return self._read_json(await self._send("POST", path, body), allow_nan)

    @asynccontextmanager
    async def stream(self, path: str, body: Any) -> AsyncGenerator[Tuple[str, AsyncIterator[bytes]], None]:
        """Send a request for a streamed answer; return its content type, and its bytes as they arrive."""
        await self.kind()
        try:
            async with self._client.stream("POST", self._address.base + path, json=body) as answer:
                if not answer.is_success:
                    self._refuse(await self._read_whole(answer))
                yield answer.headers.get("content-type", ""), self._pieces(answer)
        except (httpx.HTTPError, UnicodeEncodeError) as error:
            raise self._failure(error) from error

    def error(self, reason: str) -> ModelError:
        """Return the error for an unusable response."""
        return ModelError(self._mask(f"{self}: {reason}"))

    async def _pieces(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for data in answer.aiter_bytes():
                yield data
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    async def _list_models(self) -> Optional[List[str]]:
        """Return the names of the models of the server; None if it does not list them."""
        is_openai = await self.kind() == "openai"
        response = await self._send("GET", "/models" if is_openai else "/tags", seconds=PROBE_SECONDS)
        if response.status_code in _NOT_LISTED:
            return None
        answer = self._read_json(response)
        rows = as_list(answer) or as_list(get(answer, "data" if is_openai else "models"))
        key = "id" if is_openai else "name"
        names = [get(row, key) for row in rows or ()]
        if rows is None or not all(isinstance(name, str) and name for name in names):
            raise self.error(f"the response is not a list of models: {self._describe(response)}")
        return [str(name) for name in names]

    async def _send(self, method: str, path: str, body: Any = None, seconds: Optional[float] = None) -> httpx.Response:
        timeout = httpx.USE_CLIENT_DEFAULT if seconds is None else seconds
        try:
            async with self._client.stream(method, self._address.base + path, json=body, timeout=timeout) as answer:
                return await self._read_whole(answer)
        except (httpx.HTTPError, UnicodeEncodeError) as error:
            raise self._failure(error, seconds) from error

    async def _read_whole(self, answer: httpx.Response) -> httpx.Response:
        """Read the body of a response up to a maximum size."""
        body = bytearray()
        async for data in answer.aiter_bytes():
            body += data
            if len(body) > MAX_ANSWER:
                raise self.error(f"the response is larger than {MAX_ANSWER} bytes")
        headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        return httpx.Response(answer.status_code, headers=headers, content=bytes(body))

    def _read_json(self, answer: httpx.Response, allow_nan: bool = False) -> Any:
        if not answer.is_success:
            self._refuse(answer)
        try:
            return from_json(answer.content, allow_inf_nan=allow_nan)
        except ValueError as error:
            raise self.error(f"the response is not JSON ({error}): {self._describe(answer)}") from error

    def _describe(self, answer: httpx.Response) -> str:
        return truncate(describe_body(self._mask(answer.text), answer.headers.get("content-type", "")), _MAX_SHOWN)

    def _refuse(self, answer: httpx.Response) -> NoReturn:
        status, said = answer.status_code, self._describe(answer)
        if answer.has_redirect_location:
            said = f"redirect to {_without_query(answer.headers['location'])}, which is not followed"
        reason = f"{self}: HTTP {status}: {said or answer.reason_phrase}"
        if status in (401, 403):
            key = self._settings.key_setting
            advice = f"rejects the key in {key}" if self._settings.key else f"requires a key (set {key})"
            reason = f"the model's server, not Sekha, {advice}: {reason}"
        elif status == 429:
            reason = f"the model's server, not Sekha, has received too many requests: {reason}"
        forwarded = status if status in _FORWARDED else 502
        raise ModelError(self._mask(reason), forwarded, answer.headers.get("retry-after"), self._mask(answer.text))

    def _failure(self, error: Exception, seconds: Optional[float] = None) -> ModelError:
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.ConnectTimeout):
            reason = "connect timeout"
        elif isinstance(error, httpx.TimeoutException):
            reason = f"no response within {seconds or _ANSWER_SECONDS:g} s"
        return self.error(reason)

    def _mask(self, text: str) -> str:
        """Return a text with the key masked, since some servers echo it."""
        return text if self._settings.key is None else mask(text, [self._settings.key])


def pick_model(wanted: Optional[str], names: Optional[Sequence[str]], setting: str) -> str:
    """Return the default model for requests without one.

    Args:
        wanted: The model of the settings, if any.
        names: The models of the server; None if it does not list them.
        setting: The name of the setting, for errors.

    Raises:
        ModelSettingsError: The server does not have the model, or has several and none is set.
        ModelError: The server has no models.
    """
    if names is None:
        if wanted is None:
            raise ModelSettingsError(f"does not list its models: set one with {setting}")
        return wanted
    shown = ", ".join(names[:_MAX_NAMES])
    if len(names) > _MAX_NAMES:
        shown += f" and {len(names) - _MAX_NAMES} more"
    if wanted is not None:
        if without_latest(wanted) not in map(without_latest, names):
            raise ModelSettingsError(f"has no model {wanted} (set with {setting}); it has {shown or 'none'}")
        return wanted
    if not names:
        raise ModelError("has no models")
    if len(names) > 1:
        raise ModelSettingsError(f"has several models: set one with {setting}; it has {shown}")
    return names[0]


def without_latest(name: str) -> str:
    """Return the name of a model without the tag that Ollama adds to names without one."""
    return name[: -len(":latest")] if name.endswith(":latest") else name


def _has_version(answer: httpx.Response) -> bool:
    """Return whether a response is from Ollama; some other servers answer 200 to any request."""
    try:
        found: Any = from_json(answer.content) if answer.is_success else None
    except ValueError:
        return False
    return isinstance(get(found, "version"), str)


def _without_query(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
    except ValueError:
        return "another address"
