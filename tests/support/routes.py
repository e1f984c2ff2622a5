"""The requests that tests script and look for: method and path, as `FakeServer` names them."""

from __future__ import annotations

# The controller
HEALTH, METRICS = "GET /health", "GET /metrics"
CREATE, LIST = "POST /api/v1/conversations", "GET /api/v1/conversations"
COUNT = "GET /api/v1/conversations/count"
QUERY, FULL_TEXT = "POST /api/v1/query", "POST /api/v1/search/fts"
CONTEXT = "POST /api/v1/context/assemble"

# Its MCP tools
STORE, SEARCH = "POST /mcp/tools/memory_store", "POST /mcp/tools/memory_search"
EXPORT, DETAILS = "POST /mcp/tools/memory_export", "POST /mcp/tools/memory_get_context"
STATS = "POST /mcp/tools/memory_stats"

# The bridge
CHAT = "POST /v1/chat/completions"
