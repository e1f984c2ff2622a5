"""What was learned about a controller."""

from __future__ import annotations

from sekha._api.compat.capabilities import Capabilities
from sekha._utils.redaction import Secret


def test_a_rejected_key_is_known_and_no_other() -> None:
    capabilities, key = Capabilities(), Secret("k", "api_key")
    capabilities.reject_mcp_key(None)
    assert not capabilities.is_mcp_key_rejected(None)
    assert not capabilities.is_mcp_key_rejected(key)
    capabilities.reject_mcp_key(key)
    assert capabilities.is_mcp_key_rejected(key)
    assert not capabilities.is_mcp_key_rejected(Secret("k", "api_key"))
