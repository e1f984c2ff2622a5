"""The servers as the documentation describes them: controller, MCP tools and bridge."""
