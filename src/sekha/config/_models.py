"""The config objects and the keyword arguments of the clients; `sekha.config._settings` has the table of settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from ssl import SSLContext
from typing import Any, Literal, Optional, TypeVar, Union

from typing_extensions import Self, TypedDict, Unpack

from sekha._http.models import AsyncHTTPClient, HTTPClient, HTTPSettings
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven, drop_unset
from sekha.config._settings import (
    NONE_IS_MISSING,
    SETTINGS,
    is_secret,
    masked_repr,
    settings_from_env,
    validate_setting,
)
from sekha.errors import SekhaConfigError
from sekha.events import RequestEvent, ResponseEvent, RetryEvent, WaitEvent
from sekha.gates import AsyncClientGate

StrPath = Union[str, os.PathLike[str]]


class ConnectionSettings(TypedDict, total=False):
    """Keyword arguments of every client except addresses, keys, timeout, retries and gates; see `SekhaConfig`."""

    deadline: Optional[float]
    rate_limit_requests: Union[int, Literal["none"], None]
    rate_limit_window: float
    max_connections: int
    max_concurrent_writes: int
    max_response_bytes: int
    verify: Union[bool, StrPath, SSLContext]
    cert: Union[StrPath, Sequence[StrPath], None]
    proxy: Optional[str]
    trust_env: bool
    headers: Optional[Mapping[str, str]]
    on_request: Optional[Callable[[RequestEvent], object]]
    on_response: Optional[Callable[[ResponseEvent], object]]
    on_retry: Optional[Callable[[RetryEvent], object]]
    on_wait: Optional[Callable[[WaitEvent], object]]
    tracing: bool


class ClientSettings(ConnectionSettings, total=False):
    """Keyword arguments of `SekhaClient` and `AsyncSekhaClient` whose types are the same."""

    timeout: Optional[float]
    max_retries: int
    controller_url: Optional[str]
    api_key: Optional[str]
    bridge_url: Optional[str]
    bridge_api_key: Optional[str]
    mcp_api_key: Optional[str]


class ConfigChanges(ClientSettings, total=False):
    """Keyword arguments of `SekhaConfig.replace`."""

    write_gate: Union[Literal["shared", "process"], AsyncClientGate]
    rate_limiter: Union[Literal["process"], AsyncClientGate]


class _Settings:
    """Base of the config objects: values by name, either set explicitly or defaults."""

    _given: frozenset[str]  # pickles have it by this name
    _left_out: frozenset[str] = frozenset()  # the settings that a pickle has left out
    _pickles_secrets: bool = False

    def _assign(self, values: Mapping[str, object]) -> None:
        """Validate and store the values that were given."""
        given = {name: validate_setting(name, value) for name, value in drop_unset(NONE_IS_MISSING, **values).items()}
        self.__dict__["_given"] = frozenset(given)
        self.__dict__.update(given)

    def _explicit(self) -> dict[str, Any]:
        """Return the values that were given."""
        return {name: self.__dict__[name] for name in sorted(self._given)}

    def with_secrets(self) -> Self:
        """Return an equal config whose pickles include keys and other secrets in plain text.

        By default, a pickle omits what a repr masks: keys, headers, the password of a client certificate, and a proxy
        with a user. A client made from such a config takes these values from its arguments or from the environment of
        its process, and raises a `SekhaConfigError` if one is missing.

        Example:
            ```python
            import pickle

            from sekha import SekhaConfig

            config = SekhaConfig(controller_url="http://localhost:8080", api_key="sk-secret")
            print(pickle.loads(pickle.dumps(config)).api_key)  # None
            print(pickle.loads(pickle.dumps(config.with_secrets())).api_key)  # sk-secret
            ```
        """
        twin = copy(self)
        twin.__dict__["_pickles_secrets"] = True
        return twin

    def _inherit(self, original: _Settings) -> None:
        """Copy from another config what its pickles omit, or have omitted."""
        if original._left_out - self._given:
            self.__dict__["_left_out"] = original._left_out - self._given
        if original._pickles_secrets:
            self.__dict__["_pickles_secrets"] = True

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; create a changed copy with replace()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; create a changed copy with replace()")

    def __getstate__(self) -> dict[str, object]:
        """Return what a pickle holds, which leaves this process."""
        for name, value in self._explicit().items():
            if isinstance(value, SSLContext) or name == "http_client":
                raise TypeError(
                    f"{type(self).__name__} cannot be pickled with {name}=<{type(value).__qualname__}>, "
                    f"which belongs to this process; remove {name} from the config and pass it to the client in the "
                    "other process"
                )
        if self._pickles_secrets:
            return dict(vars(self))
        secrets = frozenset(name for name, value in self._explicit().items() if is_secret(name, value))
        if not secrets:
            return dict(vars(self))
        state = {name: value for name, value in vars(self).items() if name not in secrets}
        return {**state, "_given": self._given - secrets, "_left_out": self._left_out | secrets}

    def __copy__(self) -> Self:
        """Return a copy, secrets included: it stays in this process."""
        twin = object.__new__(type(self))
        twin.__dict__.update(vars(self))
        return twin

    def __deepcopy__(self, memo: object) -> Self:
        """Return a copy with its own headers. Objects of the process, such as an `ssl.SSLContext`, are shared."""
        twin = copy(self)
        if "headers" in self._given:
            twin.__dict__["headers"] = dict(vars(self)["headers"])
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return False
        return self._explicit() == other._explicit() and self._left_out == other._left_out

    def __hash__(self) -> int:
        return hash((type(self), self._given))

    def __repr__(self) -> str:
        shown = {name: masked_repr(name, value) for name, value in self._explicit().items()}
        shown.update(dict.fromkeys(self._left_out, "<omitted from the pickle>"))
        return f"{type(self).__name__}({', '.join(f'{name}={shown[name]}' for name in sorted(shown))})"


C = TypeVar("C", bound=_Settings)


def _with_defaults(cls: type[C]) -> type[C]:
    """Set each annotated field of a config class to the default of its setting."""
    for name in cls.__annotations__:
        setattr(cls, name, SETTINGS[name].default)
    return cls


@_with_defaults
class SekhaConfig(_Settings):
    """All settings of a client as one immutable object. Its repr masks keys, and pickles omit them.

    Args:
        controller_url: ``http://`` or ``https://`` address of the controller; a path prefix is kept.
        api_key: Key for the controller's REST routes, and for its MCP tools unless ``mcp_api_key`` is given.
        bridge_url: Address of the LLM bridge; without it bridge calls raise `SekhaConfigError`.
        bridge_api_key: Key for the bridge; without it, no key is sent to the bridge.
        mcp_api_key: Key for the controller's MCP tools if it differs from ``api_key``.
        timeout: Seconds for each phase of one attempt: connecting, sending, and waiting for the next bytes. None means
            no limit. Default 30, or 300 while waiting for models and embedding.
        max_retries: Retries after a failed first attempt, 0 or more; default 3.
        deadline: Seconds for a whole call, waits and retries included; default None, no limit.
        rate_limit_requests: Requests to one server in any sliding window; default 1000. None or "none" means no limit.
        rate_limit_window: Length of that window in seconds; default 60.
        max_connections: Connections to one server; default 100.
        max_concurrent_writes: Concurrent requests that store a conversation; default 4.
        write_gate: Scope of ``max_concurrent_writes``: "shared" for all processes of this user on this machine,
            "process" for one client, or a gate (`sekha.gates`), for example for several machines; default shared.
        rate_limiter: Scope of ``rate_limit_requests``: "process" for one client in one process, or a gate, for example
            for several machines; default process.
        max_response_bytes: Maximum response size in bytes after decompression; default 64 MiB.
        verify: TLS verification: True (default), a path to a CA file or folder, or an `ssl.SSLContext`. False turns
            verification off.
        cert: Client certificate: a path, a pair of paths (certificate, key), or these with the password of the key.
        proxy: Address of a proxy for every server; "none" connects directly and ignores the environment.
        trust_env: Whether to use the proxy and certificate settings of the environment and the system; default True.
        headers: Additional headers for every request.
        http_client: Your own httpx client to send requests with; the library does not close it.
        on_request: Called with a `RequestEvent` when an attempt starts; must return quickly and not block.
        on_response: Called with a `ResponseEvent` when an attempt ends with a response or an error.
        on_retry: Called with a `RetryEvent` before the wait for a retry.
        on_wait: Called with a `WaitEvent` when a request has to wait before it is sent.
        tracing: Whether to create OpenTelemetry spans if ``opentelemetry-api`` is installed; default True.

    Raises:
        SekhaConfigError: A value is invalid.

    Example:
        ```python
        from sekha import SekhaConfig

        config = SekhaConfig(
            controller_url="http://localhost:8080", api_key="sk-secret", timeout=10.0
        )
        print(
            config
        )  # SekhaConfig(api_key='***', controller_url='http://localhost:8080', timeout=10.0)
        ```
    """

    __module__ = "sekha.config"

    controller_url: Optional[str]
    api_key: Optional[str]
    bridge_url: Optional[str]
    bridge_api_key: Optional[str]
    mcp_api_key: Optional[str]
    timeout: Optional[float]
    max_retries: int
    deadline: Optional[float]
    rate_limit_requests: Optional[int]
    rate_limit_window: float
    max_connections: int
    max_concurrent_writes: int
    write_gate: Union[Literal["shared", "process"], AsyncClientGate]
    rate_limiter: Union[Literal["process"], AsyncClientGate]
    max_response_bytes: int
    verify: Union[bool, str, SSLContext]
    cert: Union[str, tuple[str, str], tuple[str, str, str], None]
    proxy: Optional[str]
    trust_env: bool
    headers: Optional[Mapping[str, str]]
    http_client: Union[AsyncHTTPClient, HTTPClient, None]
    on_request: Optional[Callable[[RequestEvent], object]]
    on_response: Optional[Callable[[ResponseEvent], object]]
    on_retry: Optional[Callable[[RetryEvent], object]]
    on_wait: Optional[Callable[[WaitEvent], object]]
    tracing: bool

    @redact_traceback
    def __init__(
        self,
        *,
        controller_url: Optional[str] = None,
        api_key: Optional[str] = None,
        bridge_url: Optional[str] = None,
        bridge_api_key: Optional[str] = None,
        mcp_api_key: Optional[str] = None,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        deadline: Union[float, NotGiven, None] = NOT_GIVEN,
        rate_limit_requests: Union[int, Literal["none"], NotGiven, None] = NOT_GIVEN,
        rate_limit_window: Union[float, NotGiven] = NOT_GIVEN,
        max_connections: Union[int, NotGiven] = NOT_GIVEN,
        max_concurrent_writes: Union[int, NotGiven] = NOT_GIVEN,
        write_gate: Union[Literal["shared", "process"], AsyncClientGate, NotGiven] = NOT_GIVEN,
        rate_limiter: Union[Literal["process"], AsyncClientGate, NotGiven] = NOT_GIVEN,
        max_response_bytes: Union[int, NotGiven] = NOT_GIVEN,
        verify: Union[bool, StrPath, SSLContext, NotGiven] = NOT_GIVEN,
        cert: Union[StrPath, Sequence[StrPath], NotGiven, None] = NOT_GIVEN,
        proxy: Optional[str] = None,
        trust_env: Union[bool, NotGiven] = NOT_GIVEN,
        headers: Optional[Mapping[str, str]] = None,
        http_client: Union[AsyncHTTPClient, HTTPClient, None] = None,
        on_request: Optional[Callable[[RequestEvent], object]] = None,
        on_response: Optional[Callable[[ResponseEvent], object]] = None,
        on_retry: Optional[Callable[[RetryEvent], object]] = None,
        on_wait: Optional[Callable[[WaitEvent], object]] = None,
        tracing: Union[bool, NotGiven] = NOT_GIVEN,
    ) -> None:
        self._assign({name: value for name, value in locals().items() if name != "self"})

    @classmethod
    @redact_traceback
    def from_env(cls, env_file: Union[str, os.PathLike[str], None] = None) -> SekhaConfig:
        """Read settings from environment variables, and from a file those that the environment does not set.

        Args:
            env_file: Path of a ``.env`` file with ``SEKHA_...=value`` lines. The environment of the process is not
                changed.

        Raises:
            SekhaConfigError: The file cannot be read, or a value is invalid.

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
                found.update(dotenv_values(env_file, encoding="utf-8-sig"))
            except UnicodeDecodeError:
                name = os.fspath(env_file)
                raise SekhaConfigError(
                    f"env_file: {name} is not UTF-8; save it as UTF-8 (PowerShell redirection with > writes UTF-16)"
                ) from None
            except OSError as error:
                raise SekhaConfigError(
                    f"env_file: {os.fspath(env_file)} cannot be read: {type(error).__name__}"
                ) from None
        found.update(os.environ)
        return cls(**settings_from_env(found))

    @redact_traceback
    def replace(self, **changes: Unpack[ConfigChanges]) -> SekhaConfig:
        """Return a copy with some settings changed.

        Args:
            changes: New values by name; None leaves a text setting unchanged.

        Raises:
            SekhaConfigError: A value is invalid.

        Example:
            ```python
            from sekha import SekhaConfig

            config = SekhaConfig(controller_url="http://localhost:8080", api_key="sk-secret")
            print(config.replace(max_retries=5).max_retries)  # 5
            ```
        """
        replaced = SekhaConfig(**{**self._explicit(), **drop_unset(NONE_IS_MISSING, **changes)})
        replaced._inherit(self)
        return replaced

    __replace__ = replace  # for `copy.replace` of Python 3.13


@_with_defaults
class ClientConfig(_Settings):
    """Settings for a client of one service, such as `MemoryController`. Same meaning as in `SekhaConfig`.

    Args:
        base_url: ``http://`` or ``https://`` address of the service.
        api_key: Key for the service; optional for a bridge.
        timeout: Seconds for each phase of one attempt: connecting, sending, and waiting for the next bytes. None means
            no limit. Default 30, or 300 while waiting for models and embedding.
        max_retries: Retries after a failed first attempt, 0 or more; default 3.
        rate_limit_requests: Requests to one server in any sliding window; default 1000. None or "none" means no limit.
        rate_limit_window: Length of that window in seconds; default 60.

    Raises:
        SekhaConfigError: A value is invalid.

    Example:
        ```python
        from sekha.types import ClientConfig

        config = ClientConfig(
            base_url="http://localhost:8080", api_key="sk-secret", rate_limit_requests=500
        )
        print(config.rate_limit_requests)  # 500
        ```
    """

    __module__ = "sekha.config"

    base_url: Optional[str]
    api_key: Optional[str]
    timeout: Optional[float]
    max_retries: int
    rate_limit_requests: Optional[int]
    rate_limit_window: float

    @redact_traceback
    def __init__(
        self,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        rate_limit_requests: Union[int, Literal["none"], NotGiven, None] = NOT_GIVEN,
        rate_limit_window: Union[float, NotGiven] = NOT_GIVEN,
    ) -> None:
        self._assign({name: value for name, value in locals().items() if name != "self"})


def is_set(config: SekhaConfig, name: str) -> bool:
    """Return whether a setting was set explicitly; if not, it has its default."""
    return name in config._given


def http_settings(config: SekhaConfig) -> HTTPSettings:
    """Return the settings that affect connections."""
    return HTTPSettings(
        config.verify, config.cert, config.proxy, config.trust_env, config.max_connections, config.http_client
    )
