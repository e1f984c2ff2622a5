"""Settings: an argument beats the config object beats the environment beats the default.

| variable | setting |
|---|---|
| ``SEKHA_CONTROLLER_URL`` | ``controller_url`` |
| ``SEKHA_API_KEY`` | ``api_key`` |
| ``SEKHA_BRIDGE_URL`` | ``bridge_url`` |
| ``SEKHA_BRIDGE_API_KEY`` | ``bridge_api_key`` |
| ``SEKHA_MCP_API_KEY`` | ``mcp_api_key`` |
| ``SEKHA_TIMEOUT`` | ``timeout``, in seconds |
| ``SEKHA_MAX_RETRIES`` | ``max_retries`` |
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import Any, Final, Optional, Union, cast
from urllib.parse import urlsplit

from typing_extensions import TypedDict, Unpack

from sekha._http.models import AsyncHTTPClient, HTTPClient, HTTPSettings
from sekha._settings import ENVIRONMENT, checked_setting, from_environment, shown, without_missing
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.errors import SekhaConfigError, SekhaWarning
from sekha.events import RequestEvent, ResponseEvent, RetryEvent

__all__ = ["ClientConfig", "SekhaConfig"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


DEFAULT_TIMEOUT: Final = 30.0
"""Seconds for each phase of an attempt, where ``timeout`` is not given."""
_HTTP_SETTINGS: Final = ("verify", "cert", "proxy", "trust_env")


class ConnectionSettings(TypedDict, total=False):
    """What every client takes by keyword besides addresses, keys, timeout and retries; see `SekhaConfig`."""

    deadline: Optional[float]
    rate_limit_requests: int
    rate_limit_window: float
    max_connections: int
    max_concurrent_writes: int
    max_response_bytes: int
    verify: Union[bool, str, SSLContext]
    cert: Union[str, tuple[str, str], tuple[str, str, str], None]
    proxy: Optional[str]
    trust_env: bool
    headers: Optional[Mapping[str, str]]
    on_request: Optional[Callable[[RequestEvent], object]]
    on_response: Optional[Callable[[ResponseEvent], object]]
    on_retry: Optional[Callable[[RetryEvent], object]]
    tracing: bool


class ClientSettings(ConnectionSettings, total=False):
    """The keywords of `SekhaClient` and `AsyncSekhaClient`, but for ``http_client``, which differs."""

    timeout: Optional[float]
    max_retries: int
    controller_url: Optional[str]
    api_key: Optional[str]
    bridge_url: Optional[str]
    bridge_api_key: Optional[str]
    mcp_api_key: Optional[str]


class _Settings:
    """Values by name; knows which of them were given and which are defaults."""

    _given: frozenset[str]

    def _fill(self, values: Mapping[str, object]) -> None:
        given = {name: checked_setting(name, value) for name, value in without_missing(values).items()}
        self.__dict__["_given"] = frozenset(given)
        self.__dict__.update(given)

    def _as_given(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in sorted(self._given)}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed; make another one")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._as_given() == other._as_given()

    def __hash__(self) -> int:
        return hash((type(self), self._given))

    def __repr__(self) -> str:
        pairs = (f"{name}={shown(name, value)}" for name, value in self._as_given().items())
        return f"{type(self).__name__}({', '.join(pairs)})"


class SekhaConfig(_Settings):
    """All settings of a client in one object that cannot be changed. Keys are never shown.

    Args:
        controller_url: ``http://`` or ``https://`` address of the controller; a path prefix is kept.
        api_key: Key for the controller's REST routes, and for its MCP tools unless ``mcp_api_key`` is given.
        bridge_url: Address of the LLM bridge; without it bridge calls raise `SekhaConfigError`.
        bridge_api_key: Key for the bridge; none is sent to it otherwise.
        mcp_api_key: Key for the controller's MCP tools, where it differs from ``api_key``.
        timeout: Seconds for each of connecting, sending, and waiting for the next bytes of one attempt; None means
            no limit. Not given: 30, but 300 to wait for models and embedders.
        max_retries: Repetitions after a first attempt that failed in a repeatable way, 0 or more; default 3.
        deadline: Seconds that a whole call may take, waits and repetitions included; default None, no limit.
        rate_limit_requests: Requests to one server in any window; default 1000.
        rate_limit_window: Length of that window in seconds; default 60.
        max_connections: Connections to one server; default 100.
        max_concurrent_writes: Conversations stored at the same time; default 4.
        max_response_bytes: Longest answer that is read, in bytes; default 64 MiB.
        verify: TLS: True, a path to a CA file or folder, or an `ssl.SSLContext`; False checks nothing.
        cert: Client certificate: a path, or (certificate, key) paths, or with the key's password.
        proxy: Address of a proxy.
        trust_env: Whether proxy and certificate settings of the environment apply; default True.
        headers: Further headers for every request.
        http_client: An httpx client of yours to send with; it is not closed by us.
        on_request: Called with a `RequestEvent` when an attempt begins; must be quick and not wait.
        on_response: Called with a `ResponseEvent` when an attempt has an answer or an error.
        on_retry: Called with a `RetryEvent` before the wait for another attempt.
        tracing: Whether there are OpenTelemetry spans where ``opentelemetry-api`` is installed; default True.

    Raises:
        SekhaConfigError: A value cannot be used.

    Example:
        ```python
        from sekha import SekhaConfig

        config = SekhaConfig(controller_url="http://localhost:8080", api_key="sk-secret", timeout=10.0)
        print(config)  # SekhaConfig(api_key='***', controller_url='http://localhost:8080', timeout=10.0)
        ```
    """

    controller_url: str | None = None
    api_key: str | None = None
    bridge_url: str | None = None
    bridge_api_key: str | None = None
    mcp_api_key: str | None = None
    timeout: float | None = DEFAULT_TIMEOUT
    max_retries: int = 3
    deadline: float | None = None
    rate_limit_requests: int = 1000
    rate_limit_window: float = 60.0
    max_connections: int = 100
    max_concurrent_writes: int = 4
    max_response_bytes: int = 64 * 1024 * 1024
    verify: bool | str | SSLContext = True
    cert: str | tuple[str, str] | tuple[str, str, str] | None = None
    proxy: str | None = None
    trust_env: bool = True
    headers: Mapping[str, str] | None = None
    http_client: AsyncHTTPClient | HTTPClient | None = None
    on_request: Callable[[RequestEvent], object] | None = None
    on_response: Callable[[ResponseEvent], object] | None = None
    on_retry: Callable[[RetryEvent], object] | None = None
    tracing: bool = True

    @redact_traceback
    def __init__(
        self,
        *,
        controller_url: str | None = None,
        api_key: str | None = None,
        bridge_url: str | None = None,
        bridge_api_key: str | None = None,
        mcp_api_key: str | None = None,
        timeout: float | NotGiven | None = NOT_GIVEN,
        max_retries: int | NotGiven = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        rate_limit_requests: int | NotGiven = NOT_GIVEN,
        rate_limit_window: float | NotGiven = NOT_GIVEN,
        max_connections: int | NotGiven = NOT_GIVEN,
        max_concurrent_writes: int | NotGiven = NOT_GIVEN,
        max_response_bytes: int | NotGiven = NOT_GIVEN,
        verify: bool | str | SSLContext | NotGiven = NOT_GIVEN,
        cert: str | tuple[str, str] | tuple[str, str, str] | NotGiven | None = NOT_GIVEN,
        proxy: str | None = None,
        trust_env: bool | NotGiven = NOT_GIVEN,
        headers: Mapping[str, str] | None = None,
        http_client: AsyncHTTPClient | HTTPClient | None = None,
        on_request: Callable[[RequestEvent], object] | None = None,
        on_response: Callable[[ResponseEvent], object] | None = None,
        on_retry: Callable[[RetryEvent], object] | None = None,
        tracing: bool | NotGiven = NOT_GIVEN,
    ) -> None:
        self._fill({name: value for name, value in locals().items() if name != "self"})

    @classmethod
    @redact_traceback
    def from_env(cls, env_file: str | os.PathLike[str] | None = None) -> SekhaConfig:
        """Settings from the environment, and from a file for what the environment does not say.

        Args:
            env_file: A ``.env`` file with ``SEKHA_...=value`` lines; the process environment is never changed.

        Raises:
            SekhaConfigError: The file cannot be read, or a value cannot be used.

        Example:
            ```python
            from sekha import SekhaConfig

            config = SekhaConfig.from_env()
            print(config.max_retries)  # 3
            ```
        """
        found: dict[str, str | None] = {}
        if env_file is not None:
            from dotenv import dotenv_values

            if not os.path.isfile(env_file):
                raise SekhaConfigError(f"env_file: there is no file {os.fspath(env_file)}")
            try:
                found.update(dotenv_values(env_file))
            except (OSError, UnicodeDecodeError) as error:
                raise SekhaConfigError(
                    f"env_file: {os.fspath(env_file)} cannot be read: {type(error).__name__}"
                ) from None
        found.update(os.environ)
        return cls(**from_environment(found))

    @redact_traceback
    def replace(self, **changes: Unpack[ClientSettings]) -> SekhaConfig:
        """The same settings but for some.

        Args:
            changes: New values by name; None for a string leaves it as it is.

        Raises:
            SekhaConfigError: A value cannot be used.

        Example:
            ```python
            from sekha import SekhaConfig

            config = SekhaConfig(controller_url="http://localhost:8080", api_key="sk-secret")
            print(config.replace(max_retries=5).max_retries)  # 5
            ```
        """
        return SekhaConfig(**{**self._as_given(), **without_missing(changes)})


class ClientConfig(_Settings):
    """Settings of a client of one service, such as `MemoryController`; they mean what they mean in `SekhaConfig`.

    Args:
        base_url: ``http://`` or ``https://`` address of the service.
        api_key: Key for it; may be left out for a bridge.
        timeout: Seconds for each phase of one attempt; None means no limit.
        max_retries: Repetitions after a first attempt, 0 or more; default 3.
        rate_limit_requests: Requests in any window; default 1000.
        rate_limit_window: Length of that window in seconds; default 60.

    Raises:
        SekhaConfigError: A value cannot be used.

    Example:
        ```python
        from sekha.types import ClientConfig

        config = ClientConfig(base_url="http://localhost:8080", api_key="sk-secret", rate_limit_requests=500)
        print(config.rate_limit_requests)  # 500
        ```
    """

    base_url: str | None = None
    api_key: str | None = None
    timeout: float | None = DEFAULT_TIMEOUT
    max_retries: int = 3
    rate_limit_requests: int = 1000
    rate_limit_window: float = 60.0

    @redact_traceback
    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float | NotGiven | None = NOT_GIVEN,
        max_retries: int | NotGiven = NOT_GIVEN,
        rate_limit_requests: int | NotGiven = NOT_GIVEN,
        rate_limit_window: float | NotGiven = NOT_GIVEN,
    ) -> None:
        self._fill({name: value for name, value in locals().items() if name != "self"})


def resolved_config(config: SekhaConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
    """The settings of a client of everything: arguments over ``config`` over the environment over the defaults.

    Args:
        config: Settings given as an object, or None.
        arguments: Settings given by keyword; NOT_GIVEN, and None for strings, count as not given.

    Raises:
        SekhaConfigError: ``controller_url`` or ``api_key`` is missing, or settings contradict each other.
    """
    if config is not None and not isinstance(cast(object, config), SekhaConfig):
        raise SekhaConfigError(
            f"config: a SekhaConfig is needed, not {type(config).__name__}; pass an address as controller_url=..."
        )
    given = {**(config._as_given() if config is not None else {}), **without_missing(arguments)}
    resolved = SekhaConfig(**{**from_environment(os.environ, but=given), **given})
    _require(resolved, "controller_url", "controller_url")
    _require(resolved, "api_key", "api_key")
    _refuse_contradictions(resolved)
    _warn_of_no_checks(resolved)
    return resolved


def controller_config(config: ClientConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
    """The settings of a client of the controller alone; ``base_url`` and ``api_key`` are the controller's."""
    resolved = _service_config(config, arguments, "controller_url", "api_key", "mcp_api_key")
    _require(resolved, "api_key", "api_key")
    return resolved


def mcp_config(config: ClientConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
    """The settings of a client of the MCP tools alone; ``api_key`` is their key, else that of the controller."""
    resolved = _service_config(config, arguments, "controller_url", "mcp_api_key", "api_key")
    if resolved.api_key is None:
        _require(resolved, "mcp_api_key", "api_key")
    return resolved


def bridge_config(config: ClientConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
    """The settings of a client of the bridge alone, which may do without a key."""
    return _service_config(config, arguments, "bridge_url", "bridge_api_key")


def _service_config(
    config: ClientConfig | None, arguments: Mapping[str, object], url: str, key: str, *other_keys: str
) -> SekhaConfig:
    if config is not None and not isinstance(cast(object, config), ClientConfig):
        raise SekhaConfigError(
            f"config: a ClientConfig is needed, not {type(config).__name__}; pass an address as base_url=..."
        )
    given = {**(config._as_given() if config is not None else {}), **without_missing(arguments)}
    for ours, name in (("base_url", url), ("api_key", key)):
        if ours in given:
            given[name] = given.pop(ours)
    names = (url, key, *other_keys, "timeout", "max_retries")
    resolved = SekhaConfig(**{**from_environment(os.environ, names, but=given), **given})
    _require(resolved, url, "base_url")
    _refuse_contradictions(resolved)
    _warn_of_no_checks(resolved)
    return resolved


def http_settings(config: SekhaConfig) -> HTTPSettings:
    """What connecting has to know of these settings."""
    return HTTPSettings(
        config.verify, config.cert, config.proxy, config.trust_env, config.max_connections, config.http_client
    )


def was_given(config: SekhaConfig, name: str) -> bool:
    """Whether a setting was given somewhere, or is the default."""
    return name in config._given


def _require(config: SekhaConfig, name: str, argument: str) -> None:
    if getattr(config, name) is None:
        raise SekhaConfigError(f"{argument} is missing: pass {argument}=... or set {ENVIRONMENT[name]}")


def _refuse_contradictions(config: SekhaConfig) -> None:
    """A client of the user's brings its own TLS and proxy settings; ours would be silently ignored."""
    if config.http_client is not None:
        clash = [name for name in _HTTP_SETTINGS if was_given(config, name)]
        if clash:
            raise SekhaConfigError(
                f"http_client cannot be combined with {', '.join(clash)}: set them on the client that you pass"
            )


def _warn_of_no_checks(config: SekhaConfig) -> None:
    """One warning for each client, at the line that makes it."""
    urls = [url for url in (config.controller_url, config.bridge_url) if url and url.lower().startswith("https:")]
    if config.verify is False and urls:
        hosts = " and ".join(dict.fromkeys(urlsplit(url).netloc for url in urls))
        warnings.warn(
            f"verify=False: the identity of {hosts} is not checked", SekhaWarning, stacklevel=_level_of_the_user()
        )


def _level_of_the_user() -> int:
    """How many frames above the caller the first line stands that is not ours."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "sekha":
        level, frame = level + 1, frame.f_back
    return level
