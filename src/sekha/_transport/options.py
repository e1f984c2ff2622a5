"""Options and keys of a view, checked; and the keys that a config gives to each service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sekha._api.model import Service
from sekha._settings import checked_setting
from sekha._utils.redaction import Secret, redact_traceback
from sekha._utils.sentinel import NOT_GIVEN
from sekha.config import SekhaConfig


@redact_traceback
def changed_options(inherited: Mapping[str, str], **options: object) -> dict[str, Any]:
    """The options of a view that differ from those of its parent.

    Args:
        inherited: The parent's headers, which stay.
        options: What was passed, by name.
    """
    changed = {
        name: checked_setting(name, value)
        for name, value in options.items()
        if value is not NOT_GIVEN and not (name == "headers" and value is None)
    }
    if "headers" in changed:
        changed["headers"] = {**inherited, **changed["headers"]}
    if "deadline" in changed:
        changed["expires"] = None
    return changed


@redact_traceback
def changed_keys(
    api_key: str | None = None, mcp_api_key: str | None = None, bridge_api_key: str | None = None
) -> dict[Service, Secret]:
    """The keys of a view that differ from those of its parent; each goes only where it belongs."""
    keys: dict[Service, Secret] = {}
    if api_key is not None:
        keys[Service.CONTROLLER] = keys[Service.MCP] = _secret("api_key", api_key)
    if mcp_api_key is not None:
        keys[Service.MCP] = _secret("mcp_api_key", mcp_api_key)
    if bridge_api_key is not None:
        keys[Service.BRIDGE] = _secret("bridge_api_key", bridge_api_key)
    return keys


def merged_keys(old: Mapping[Service, Secret], new: Mapping[Service, Secret]) -> dict[Service, Secret]:
    """The keys of a view; the MCP tools' own key is not replaced by the one for everything."""
    merged = {**old, **new}
    if Service.MCP in old and old[Service.MCP].name == "mcp_api_key" and merged[Service.MCP].name == "api_key":
        merged[Service.MCP] = old[Service.MCP]
    return merged


def server_keys(config: SekhaConfig) -> dict[Service, Secret]:
    """What is sent to the controller's server: one key to its REST routes, one to its MCP tools."""
    keys = changed_keys(config.api_key, config.mcp_api_key)
    if Service.MCP in keys:
        keys.setdefault(Service.CONTROLLER, keys[Service.MCP])
    return keys


def bridge_keys(config: SekhaConfig) -> dict[Service, Secret]:
    """What is sent to the bridge: its own key, and only if there is one."""
    return changed_keys(bridge_api_key=config.bridge_api_key)


def _secret(name: str, value: str) -> Secret:
    return Secret(checked_setting(name, value), name)
