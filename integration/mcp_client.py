"""A session of a real MCP client with `handoff mcp`: the official Python SDK, which validates every result.

    mcp_client.py HANDOFF HOST TASK

Prints one JSON object for each step. The test reads them.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

HANDOFF, HOST, TASK = sys.argv[1:4]


def say(step, value):
    print(json.dumps({"step": step, "value": value}), flush=True)


async def main():
    server = StdioServerParameters(command=HANDOFF, args=["mcp"], env=dict(os.environ), cwd=os.getcwd())
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        say("server", hello.server_info.name)
        say("tools", [tool.name for tool in (await session.list_tools()).tools])

        async def call(tool, **arguments):
            result = await session.call_tool(tool, arguments)
            if result.is_error:
                return {"error": result.content[0].text}
            return result.structured_content

        say("run", await call("run", task=TASK, host=HOST, id="fix", check="sh test.sh"))
        for _ in range(10):
            status = await call("status", id="fix", wait_seconds=30)
            if status["status"] not in ("queued", "running", "waiting"):
                break
        say("status", status)
        say("list", await call("list"))
        say("log", await call("log", id="fix", offset=-200))
        say("diff", await call("diff", id="fix"))
        say("takeover", await call("takeover", id="fix"))
        say("resume", await call("resume", id="fix"))
        say("give", await call("give", id="fix", message="Nothing to add."))
        say("stop", await call("stop", id="fix"))
        resources = (await session.list_resources()).resources
        say("resources", [str(resource.uri) for resource in resources])
        document = await session.read_resource("handoff://fix/handoff.md")
        say("document", document.contents[0].text)
        prompt = await session.get_prompt("takeover", {"id": "fix"})
        say("prompt", prompt.messages[0].content.text)


asyncio.run(main())
