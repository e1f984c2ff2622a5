"""What the responses of a controller have shown about it, so that the same refusal is not provoked with every call."""

from __future__ import annotations

from sekha._utils.redaction import Secret


class Capabilities:
    """What was learned about a controller; its clients and their views share one.

    Attributes:
        text_only: Whether it refused content parts, as the controller 0.1 does (D4).
    """

    def __init__(self) -> None:
        self.text_only: bool = False
        self._rejected_keys: set[Secret] = set()

    def reject_mcp_key(self, key: Secret | None) -> None:
        """Note that the MCP tools refused a key."""
        if key is not None:
            self._rejected_keys.add(key)

    def is_mcp_key_rejected(self, key: Secret | None) -> bool:
        """Return whether the MCP tools refused this key before."""
        return key in self._rejected_keys
