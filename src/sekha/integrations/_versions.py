"""What each extra supports. Written by tools/extras.py from integrations.toml."""

from __future__ import annotations

from typing import Final

SUPPORTED: Final = {
    "langchain": ("langchain", "1.0.0", "2", "3.11"),
    "openai-agents": ("openai-agents", "0.19.4", "", "3.10"),
    "openai": ("openai", "1.78.0", "4", "3.9"),
    "anthropic": ("anthropic", "0.51.0", "3", "3.9"),
    "pydantic-ai": ("pydantic-ai-slim", "1.94.0", "3", "3.10"),
    "adk": ("google-adk", "1.19.0", "3", "3.10"),
    "agent-framework": ("agent-framework-core", "1.0.0", "", "3.10"),
    "strands": ("strands-agents", "1.45.0", "", "3.10"),
    "llamaindex": ("llama-index-core", "0.13.0", "", "3.10"),
    "mcp": ("mcp", "1.24.0", "3", "3.10"),
    "redis": ("redis", "5.0.0", "", "3.9"),
}
"""By extra: the package, the oldest version, the first that is too new (empty if none is), and the oldest Python."""
