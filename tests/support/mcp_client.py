"""A client of MCP on either major of the package `mcp`, as its documentation shows it; a program of its own.

It gets a plan as JSON in its argument: `server`, a command or an address; `environment`; `calls`, names of tools with
their arguments; `reads`, addresses of resources; `prompts`, names with their arguments. `$id` in an argument or address
stands for the first UUID in a result so far. It prints one JSON object with what came.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any, Dict

import anyio

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def connect(stack: AsyncExitStack, plan: Dict[str, Any], came: Dict[str, Any]) -> Any:
    """Connect as an application of the installed major does."""
    from mcp import ClientSession, StdioServerParameters, stdio_client

    server: Any = plan["server"]
    if not isinstance(server, str):
        server = StdioServerParameters(command=server[0], args=server[1:], env=plan["environment"])
    if version("mcp").startswith("1."):
        from mcp.client.streamable_http import streamable_http_client

        transport = streamable_http_client(server) if isinstance(server, str) else stdio_client(server)
        streams = await stack.enter_async_context(transport)
        session: Any = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        came["protocol"] = (await session.initialize()).protocolVersion
        return session
    from mcp import Client

    target: Any = server if isinstance(server, str) else stdio_client(server)  # 2.0 takes no parameters
    client = await stack.enter_async_context(Client(target))
    came["protocol"] = client.protocol_version
    return client


def plain(result: Any) -> Any:
    """A result in the words of the protocol."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(plan: Dict[str, Any]) -> None:
    came: Dict[str, Any] = {"mcp": version("mcp"), "calls": [], "reads": [], "prompts": []}

    def filled(value: Any) -> Any:
        text = json.dumps(value)
        if "$id" in text:
            text = text.replace("$id", UUID.findall(json.dumps(came))[0])
        return json.loads(text)

    async with AsyncExitStack() as stack:
        client = await connect(stack, plan, came)
        came["tools"] = plain(await client.list_tools())["tools"]
        came["resources"] = plain(await client.list_resource_templates())["resourceTemplates"]
        came["listed_prompts"] = plain(await client.list_prompts())["prompts"]
        for name, arguments in plan["calls"]:
            came["calls"].append(plain(await client.call_tool(name, filled(arguments))))
        for address in plan["reads"]:
            came["reads"].append(plain(await client.read_resource(filled(address))))
        for name, arguments in plan["prompts"]:
            came["prompts"].append(plain(await client.get_prompt(name, filled(arguments))))
    print(json.dumps(came))


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
