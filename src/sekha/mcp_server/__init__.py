"""The MCP server behind `sekha mcp`: Sekha's tools for Claude, editors and any other client of the protocol.

It is run by the command line and has no interface for programs. The protocol itself is spoken by the official SDK, the
package `mcp`, which the extra `mcp` installs; only `sdk` and the two transports import it.
"""
