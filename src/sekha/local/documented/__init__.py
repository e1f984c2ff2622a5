"""The servers as documented: controller, MCP tools and bridge."""
