"""All settings in one table: defaults, validators, environment variables, and how each is shown and pickled.

To add a setting, write its row here, and its type and its description in `SekhaConfig`. The unit tests then list the
signatures that lack it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from sekha.config._validation import (
    NO_LIMIT,
    accept_any,
    parse_limit,
    validate_cert,
    validate_count,
    validate_flag,
    validate_headers,
    validate_hook,
    validate_key,
    validate_limit,
    validate_positive_count,
    validate_proxy,
    validate_rate_limiter,
    validate_seconds,
    validate_seconds_or_none,
    validate_url,
    validate_verify,
    validate_write_gate,
)
from sekha.errors import SekhaConfigError

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds for each phase of an attempt if ``timeout`` is not given."""


_MASK: Final = "***"


def _mask(value: object) -> str:
    return repr(_MASK)


def _mask_header_values(value: object) -> str:
    return repr(dict.fromkeys(cast("Mapping[str, str]", value), _MASK)) if isinstance(value, Mapping) else repr(value)


def _mask_user(value: object) -> str:
    """Mask the address of a proxy that has a user or a password."""
    return repr(_MASK if "@" in str(value) else value)


def _mask_password(value: object) -> str:
    """Mask the third part of a client certificate."""
    if not isinstance(value, (tuple, list)):
        return repr(value)
    parts = cast("tuple[object, ...]", value)
    return repr((*parts[:2], *(_MASK for _ in parts[2:])))


def _name_of_function(value: object) -> str:
    """Return the name of a function, since its own repr may show the values that it holds."""
    return f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"


def _show_gate(value: object) -> str:
    """Show a word or a gate of this package; the repr of other gates may contain secrets."""
    ours = isinstance(value, str) or type(value).__module__.startswith("sekha.")
    return repr(value) if ours else f"<{type(value).__qualname__}>"


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: The argument and the attribute.
        default: The value if it is not given.
        validate: Function of a name and a value: see `sekha.config._validation`.
        none_is_missing: Whether None means "not given"; for other settings it is a value, or invalid.
        variable: Environment variable, if there is one.
        parse: Converts the text of the variable to a value, or raises a ``ValueError``.
        masked_repr: Returns the repr of a value without secrets.
        conflicts_with_http_client: Whether the user's httpx client determines this setting itself.
    """

    name: str
    default: Any
    validate: Callable[[str, Any], Any]
    none_is_missing: bool = False
    variable: str | None = None
    parse: Callable[[str], Any] = str
    masked_repr: Callable[[object], str] = repr
    conflicts_with_http_client: bool = False


_ROWS = (
    Setting("controller_url", None, validate_url, True, "SEKHA_CONTROLLER_URL"),
    Setting("api_key", None, validate_key, True, "SEKHA_API_KEY", masked_repr=_mask),
    Setting("bridge_url", None, validate_url, True, "SEKHA_BRIDGE_URL"),
    Setting("bridge_api_key", None, validate_key, True, "SEKHA_BRIDGE_API_KEY", masked_repr=_mask),
    Setting("mcp_api_key", None, validate_key, True, "SEKHA_MCP_API_KEY", masked_repr=_mask),
    Setting("timeout", DEFAULT_TIMEOUT, validate_seconds_or_none, False, "SEKHA_TIMEOUT", float),
    Setting("max_retries", 3, validate_count, False, "SEKHA_MAX_RETRIES", int),
    Setting("deadline", None, validate_seconds_or_none),
    Setting("rate_limit_requests", 1000, validate_limit, False, "SEKHA_RATE_LIMIT_REQUESTS", parse_limit),
    Setting("rate_limit_window", 60.0, validate_seconds, False, "SEKHA_RATE_LIMIT_WINDOW", float),
    Setting("max_connections", 100, validate_positive_count),
    Setting("max_concurrent_writes", 4, validate_positive_count),
    Setting("write_gate", "shared", validate_write_gate, False, "SEKHA_WRITE_GATE", masked_repr=_show_gate),
    Setting("rate_limiter", "process", validate_rate_limiter, masked_repr=_show_gate),
    Setting("max_response_bytes", 64 * 1024 * 1024, validate_positive_count),
    Setting("verify", True, validate_verify, conflicts_with_http_client=True),
    Setting("cert", None, validate_cert, masked_repr=_mask_password, conflicts_with_http_client=True),
    Setting(
        "proxy", None, validate_proxy, True, "SEKHA_PROXY", masked_repr=_mask_user, conflicts_with_http_client=True
    ),
    Setting("trust_env", True, validate_flag, conflicts_with_http_client=True),
    Setting("headers", None, validate_headers, True, masked_repr=_mask_header_values),
    Setting("http_client", None, accept_any, True),
    Setting("on_request", None, validate_hook, True, masked_repr=_name_of_function),
    Setting("on_response", None, validate_hook, True, masked_repr=_name_of_function),
    Setting("on_retry", None, validate_hook, True, masked_repr=_name_of_function),
    Setting("on_wait", None, validate_hook, True, masked_repr=_name_of_function),
    Setting("tracing", True, validate_flag),
    Setting("base_url", None, validate_url, True),  # of `ClientConfig` alone
)
SETTINGS: Final[Mapping[str, Setting]] = {setting.name: setting for setting in _ROWS}
ENVIRONMENT: Final[Mapping[str, str]] = {one.name: one.variable for one in _ROWS if one.variable is not None}
NONE_IS_MISSING: Final = frozenset(setting.name for setting in _ROWS if setting.none_is_missing)
HTTP_CLIENT_CONFLICTS: Final = tuple(setting.name for setting in _ROWS if setting.conflicts_with_http_client)


_KINDS_OF_TEXT: Final[Mapping[Callable[[str], Any], str]] = {
    int: "a whole number",
    float: "a number",
    parse_limit: f"a whole number, or {NO_LIMIT}",
}


def validate_setting(name: str, value: Any) -> Any:
    """Validate the value of a setting and return it normalized.

    Raises:
        SekhaConfigError: The value is invalid; the message starts with the name of the setting.
    """
    return SETTINGS[name].validate(name, value)


def masked_repr(name: str, value: object) -> str:
    """Return the repr of the value of a setting, without secrets."""
    return SETTINGS[name].masked_repr(value)


def is_secret(name: str, value: object) -> bool:
    """Return whether a repr masks the value of a setting, or a part of it; then pickles omit it."""
    setting = SETTINGS[name]
    return setting.masked_repr is not repr and _MASK in setting.masked_repr(value)


def settings_from_env(
    environment: Mapping[str, str | None], names: Iterable[str] = ENVIRONMENT, *, exclude: Container[str] = ()
) -> dict[str, Any]:
    """Return the settings in an environment; an empty variable counts as not set.

    Args:
        environment: Variables and their values.
        names: The settings to look for.
        exclude: Settings to skip, since a source of higher precedence sets them; their variables are not validated.

    Raises:
        SekhaConfigError: A value is invalid; the message starts with the name of its variable.
    """
    found: dict[str, Any] = {}
    for name in names:
        variable, parse = ENVIRONMENT[name], SETTINGS[name].parse
        text = (environment.get(variable) or "").strip()
        if not text or name in exclude:
            continue
        try:
            value = parse(text)
        except ValueError:
            kind = _KINDS_OF_TEXT[parse]
            raise SekhaConfigError(f"{variable}: expected {kind}, got {text[:40]!r}") from None
        try:
            found[name] = validate_setting(name, value)
        except SekhaConfigError as error:
            raise SekhaConfigError(f"{variable}: {error.message.partition(': ')[2]}") from None
    return found
