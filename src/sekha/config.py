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
from collections.abc import Mapping
from ssl import SSLContext
from typing import Any, Final, Optional, Union, cast

from typing_extensions import TypedDict, Unpack

from sekha._http import AsyncHTTPClient, HTTPClient, HTTPSettings
from sekha._request import DEFAULT_TIMEOUT
from sekha._sentinel import NOT_GIVEN, NotGiven
from sekha._settings import ENVIRONMENT, checked_setting, from_environment, shown, without_missing
from sekha.errors import SekhaConfigError

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
    ) -> None:
        self._fill({name: value for name, value in locals().items() if name != "self"})

    @classmethod
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

    def http_settings(self) -> HTTPSettings:
        """What httpx has to know of these settings."""
        return HTTPSettings(self.verify, self.cert, self.proxy, self.trust_env, self.max_connections, self.http_client)

    @classmethod
    def resolve(cls, config: SekhaConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
        """One complete config: arguments over ``config`` over the environment over the defaults.

        Args:
            config: Settings given as an object, or None.
            arguments: Settings given by keyword; NOT_GIVEN, and None for strings, count as not given.

        Raises:
            SekhaConfigError: ``controller_url`` or ``api_key`` is missing, or settings contradict each other.

        Example:
            ```python
            from sekha import SekhaConfig

            base = SekhaConfig(controller_url="http://localhost:8080", api_key="sk-secret")
            print(SekhaConfig.resolve(base, {"max_retries": 5}).max_retries)  # 5
            ```
        """
        if config is not None and not isinstance(cast(object, config), SekhaConfig):
            raise SekhaConfigError(
                f"config: a SekhaConfig is needed, not {type(config).__name__}; pass an address as controller_url=..."
            )
        merged: dict[str, Any] = from_environment(os.environ)
        if config is not None:
            merged.update(config._as_given())
        merged.update(without_missing(arguments))
        resolved = cls(**merged)
        require(resolved.controller_url, "controller_url", ENVIRONMENT["controller_url"])
        require(resolved.api_key, "api_key", ENVIRONMENT["api_key"])
        refuse_contradictions(resolved)
        return resolved


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


def merge_client_config(
    config: ClientConfig | None, arguments: Mapping[str, object], url_name: str, key_name: str
) -> SekhaConfig:
    """The settings of a client of one service, as a `SekhaConfig` with the service's own names for URL and key.

    Args:
        config: Settings given as an object, or None.
        arguments: Settings given by keyword, with ``base_url`` and ``api_key``.
        url_name: What ``base_url`` is in a `SekhaConfig`: ``controller_url`` or ``bridge_url``.
        key_name: What ``api_key`` is there: ``api_key``, ``mcp_api_key`` or ``bridge_api_key``.
    """
    if config is not None and not isinstance(cast(object, config), ClientConfig):
        raise SekhaConfigError(
            f"config: a ClientConfig is needed, not {type(config).__name__}; pass an address as base_url=..."
        )
    given = dict(config._as_given()) if config is not None else {}
    given.update((name, value) for name, value in arguments.items() if value is not NOT_GIVEN and value is not None)
    given.update((name, None) for name in ("timeout", "deadline") if arguments.get(name, NOT_GIVEN) is None)
    merged: dict[str, Any] = from_environment(os.environ)
    for ours, name in (("base_url", url_name), ("api_key", key_name)):
        if ours in given:
            merged[name] = given.pop(ours)
    merged.update(given)
    resolved = SekhaConfig(**merged)
    require(getattr(resolved, url_name), "base_url", ENVIRONMENT[url_name])
    refuse_contradictions(resolved)
    return resolved


def require(value: object, argument: str, variable: str) -> None:
    """Refuse a missing setting, naming the argument and the variable."""
    if value is None:
        raise SekhaConfigError(f"{argument} is missing: pass {argument}=... or set {variable}")


def refuse_contradictions(config: SekhaConfig) -> None:
    """A client of the user's brings its own TLS and proxy settings; ours would be silently ignored."""
    if config.http_client is not None:
        clash = [name for name in _HTTP_SETTINGS if name in config._given]
        if clash:
            raise SekhaConfigError(
                f"http_client cannot be combined with {', '.join(clash)}: set them on the client that you pass"
            )


def was_given(config: SekhaConfig, name: str) -> bool:
    """Whether a setting was given somewhere, or is the default."""
    return name in config._given
