"""The current servers with their known bugs: controller 0.1 with its MCP tools, and bridge 0.2."""
