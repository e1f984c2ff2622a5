"""The settings of a client, in order of precedence: keyword arguments, config object, environment, defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from sekha._http.proxies import DIRECT
from sekha._utils.frames import warn_user
from sekha._utils.sentinel import drop_unset
from sekha.config._models import ClientConfig, SekhaConfig, is_set
from sekha.config._settings import ENVIRONMENT, HTTP_CLIENT_CONFLICTS, NONE_IS_MISSING, settings_from_env
from sekha.errors import SekhaConfigError

_ENV_FILE: Final = ".env"
"""Usual name of a settings file; a client does not load it automatically."""


class _ServiceSettings(NamedTuple):
    """The settings of `SekhaConfig` that a client of one service has.

    Attributes:
        url: The setting that ``base_url`` sets.
        key: The setting that ``api_key`` sets.
        other_keys: Keys that such a client reads from the environment as well.
        required_keys: Keys of which it needs at least one.
    """

    url: str
    key: str
    other_keys: tuple[str, ...] = ()
    required_keys: tuple[str, ...] = ()


_SERVICES: Final[Mapping[str, _ServiceSettings]] = {
    "controller": _ServiceSettings("controller_url", "api_key", ("mcp_api_key",), required_keys=("api_key",)),
    "mcp": _ServiceSettings("controller_url", "mcp_api_key", ("api_key",), required_keys=("mcp_api_key", "api_key")),
    "bridge": _ServiceSettings("bridge_url", "bridge_api_key"),
}

_GATES: Final = frozenset({"write_gate", "rate_limiter"})
"""Settings whose gate a pickle omits. A variable can only name a scope, which is narrower than that of the gate."""

_COMMON_VARIABLES: Final = ("timeout", "max_retries", "rate_limit_requests", "rate_limit_window", "write_gate", "proxy")
"""The settings that a client of any one service reads from the environment."""


def resolve_config(config: SekhaConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
    """Return the settings of a client of all services.

    Args:
        config: Settings as an object, or None.
        arguments: Settings by keyword; NOT_GIVEN counts as not given, and so does None where it is not a valid value.

    Raises:
        SekhaConfigError: ``controller_url`` or ``api_key`` is missing, a value is invalid, or two conflict.
    """
    given = _merge(SekhaConfig, "controller_url", config, arguments)
    lost = config._left_out & _GATES if config is not None else frozenset[str]()
    resolved = SekhaConfig(**{**settings_from_env(os.environ, exclude=given.keys() | lost), **given})
    missing: list[str] = []
    if resolved.controller_url is None:
        missing.append(missing_message("controller_url"))
    left_out = [name for name in sorted(config._left_out) if not is_set(resolved, name)] if config is not None else []
    if left_out:
        missing.append(_left_out_message(config, {name: name for name in left_out}))
    if resolved.api_key is None and "api_key" not in left_out:
        missing.append(missing_message("api_key"))
    _reject_missing(missing, config)
    _reject_conflicts(resolved)
    _warn_if_unverified(resolved)
    return resolved


def resolve_service_config(service: str, config: ClientConfig | None, arguments: Mapping[str, object]) -> SekhaConfig:
    """Return the settings of a client of one service.

    Args:
        service: ``controller``, ``mcp`` or ``bridge``.
        config: Settings as an object, or None.
        arguments: Settings by keyword, with ``base_url`` and ``api_key``.

    Raises:
        SekhaConfigError: The address or a key is missing, a value is invalid, or two conflict.
    """
    url, key, other_keys, required_keys = _SERVICES[service]
    given = _merge(ClientConfig, "base_url", config, arguments)
    for argument, name in (("base_url", url), ("api_key", key)):
        if argument in given:
            given[name] = given.pop(argument)
    names = (url, key, *other_keys, *_COMMON_VARIABLES)
    resolved = SekhaConfig(**{**settings_from_env(os.environ, names, exclude=given), **given})
    missing: list[str] = []
    if getattr(resolved, url) is None:
        missing.append(missing_message(url, argument="base_url"))
    is_left_out = config is not None and bool(config._left_out)  # the key: a config of one service has no other secret
    if is_left_out and all(getattr(resolved, name) is None for name in (key, *required_keys)):
        missing.append(_left_out_message(config, {"api_key": key}))
    elif required_keys and all(getattr(resolved, name) is None for name in required_keys):
        missing.append(missing_message(key, argument="api_key"))
    _reject_missing(missing, config)
    _reject_conflicts(resolved)
    _warn_if_unverified(resolved)
    return resolved


def missing_message(name: str, *, argument: str | None = None) -> str:
    """Return the message for a setting that is missing.

    Args:
        name: The setting, which must have an environment variable.
        argument: The argument for the setting, if its name differs.
    """
    argument = argument or name
    return f"{argument} is missing: pass {argument}=... or set {ENVIRONMENT[name]}"


def _left_out_message(config: object, missing: Mapping[str, str]) -> str:
    """Return the message for settings that were omitted from the pickle of a config.

    Args:
        config: The config.
        missing: The settings, by argument.
    """
    are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
    ways = [
        f"pass {argument}=..."
        + (f" or set {ENVIRONMENT[name]} in this process" if name in ENVIRONMENT.keys() - _GATES else "")
        for argument, name in missing.items()
    ]
    return (
        f"{', '.join(missing)} {are} missing: the pickle of the {type(config).__name__} omits {them}; "
        f"{', '.join(ways)}, or pickle config.with_secrets()"
    )


def _merge(
    config_type: type[SekhaConfig] | type[ClientConfig],
    url: str,
    config: SekhaConfig | ClientConfig | None,
    arguments: Mapping[str, object],
) -> dict[str, Any]:
    """Return the settings given as keywords or in a config object; keywords take precedence."""
    if config is None:
        return drop_unset(NONE_IS_MISSING, **arguments)
    if not isinstance(config, config_type):
        raise SekhaConfigError(
            f"config: a {config_type.__name__} is required, not {type(config).__name__}; pass an address as {url}=..."
        )
    return {**config._explicit(), **drop_unset(NONE_IS_MISSING, **arguments)}


def _reject_missing(messages: Sequence[str], config: object) -> None:
    """Raise one error for all missing settings; without a config, mention a ``.env`` file that may contain them."""
    if not messages:
        return
    advice = ""
    if config is None and os.path.isfile(_ENV_FILE):
        advice = (
            f'; the file {_ENV_FILE} here is not read unless you pass SekhaConfig.from_env(env_file="{_ENV_FILE}") '
            "to SekhaClient or AsyncSekhaClient"
        )
    raise SekhaConfigError("; ".join(messages) + advice)


def _reject_conflicts(config: SekhaConfig) -> None:
    """Reject settings that the user's ``http_client`` determines: they would be silently ignored."""
    if config.http_client is not None:
        conflicts = [name for name in HTTP_CLIENT_CONFLICTS if is_set(config, name)]
        if config.proxy == DIRECT:
            conflicts.remove("proxy")  # no setting would be ignored
        if conflicts:
            raise SekhaConfigError(
                f"http_client cannot be combined with {', '.join(conflicts)}: set them on the httpx client"
            )


def _warn_if_unverified(config: SekhaConfig) -> None:
    """Warn once for each client that does not verify certificates, at the line that creates it."""
    urls = [url for url in (config.controller_url, config.bridge_url) if url and url.lower().startswith("https:")]
    if config.verify is False and urls:
        hosts = " and ".join(dict.fromkeys(urlsplit(url).netloc for url in urls))
        warn_user(f"verify=False: the identity of {hosts} is not checked")
