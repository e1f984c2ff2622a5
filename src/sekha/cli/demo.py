"""`sekha demo`: a guided demo, step by step."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import anyio

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.options import BridgeUrl, Url
from sekha.cli.terminal import echo, one_line, strip_controls, styled
from sekha.config import SekhaConfig

DETAILS = "With --url or --bridge-url, the demo uses that server and stores in the folder /sekha-demo."
EXAMPLES = ("sekha demo", "sekha demo --url http://localhost:8080 --bridge-url http://localhost:5001")

FOLDER = "/sekha-demo"
QUESTION = "What have we decided about deployment and the database?"
ASYNC_QUESTION = "When does the beta ship?"
TOPIC = "deployment with docker and kubernetes, database"
BUDGET = 60
"""Tokens of context: enough for the messages about the topic only."""
ASYNC_TOPIC = "project timeline of the beta"
ASYNC_BUDGET = 30

_NEXT_STEPS = """\
  sekha serve --data memory.db --env-file .env
                start a local server that keeps its data, and write its settings to .env
  sekha health  check it (in the same folder; sekha init writes the settings of another server)
  sekha chat    chat with a model that uses the memory
  sekha --help  list all commands

  from sekha import SekhaClient, SekhaConfig

  with SekhaClient(SekhaConfig.from_env(env_file=".env")) as client:
      client.controller.create_conversation(messages=[{"role": "user", "content": "Hello Sekha!"}])
      for result in client.controller.query("hello")["results"]:
          print(f"{result['score']:.2f} {result['content']}")
"""


def run(url: Url = None, bridge_url: BridgeUrl = None) -> int:
    """Run the demo on a temporary local server, or on the given server."""
    with _server(url, bridge_url) as config:
        _run_demo(config)
    return OK


@contextmanager
def _server(url: Optional[str], bridge_url: Optional[str]) -> Generator[SekhaConfig, None, None]:
    if url or bridge_url:
        config = config_from(url, bridge_url)
        _step(f"Using the server at {config.controller_url}; the demo stores in the folder {FOLDER}")
        yield config
        return
    from sekha.local import LocalSekha

    with LocalSekha() as sekha:
        _step("Started a local server on free ports, with its data in memory")
        echo(f"  controller and MCP tools at {sekha.controller_url}, bridge at {sekha.bridge_url}")
        yield SekhaConfig(**sekha.options)


def _run_demo(config: SekhaConfig) -> None:
    from sekha import SekhaClient

    conversations: list[dict[str, Any]] = json.loads(Path(__file__).with_name("demo.json").read_text("utf-8"))
    with SekhaClient(config) as client:
        known = {row["label"] for row in client.controller.iter_conversations(folder=FOLDER)}
        missing = [conversation for conversation in conversations if conversation["label"] not in known]
        _step(f"Storing {len(missing)} conversations" + (f" ({len(known)} already stored)" if known else ""))
        for conversation in missing:
            stored = client.controller.create_conversation({**conversation, "folder": FOLDER})
            echo(f"  {stored['label']:18} {stored['message_count']} messages")

        _step(f'Searching: "{TOPIC}"')
        for one in client.controller.query(TOPIC, limit=3)["results"]:
            echo(f"  {styled(format(one['score'], '.2f'), 'green')}  {one['label']:18} {_shorten(one['content'])}")

        _step(f"Assembling context for a model: the most relevant messages, at most {BUDGET} tokens")
        for message in client.controller.assemble_context(TOPIC, context_budget=BUDGET):
            content = message["content"]
            echo(f"  {message['role']:10} {_shorten(content if isinstance(content, str) else json.dumps(content))}")

        if config.bridge_url is None:
            _step("No bridge URL: skipping the steps that need a model")
        else:
            _step(f'Completing with context: "{QUESTION}"')
            answer = client.complete_with_context(QUESTION, TOPIC, context_budget=BUDGET)
            echo(f"  {answer['choices'][0]['message']['content']}")
            echo(styled(f"  (model {answer['model']}, {answer['usage']['total_tokens']} tokens)", "dim"))

            _step("The same, streamed")
            echo("  ", end="")
            for text in client.stream_with_context(QUESTION, TOPIC, context_budget=BUDGET).text_stream():
                echo(strip_controls(text), end="")
            echo()

        _step("Reading statistics")
        stats = client.mcp.memory_stats({"folder": FOLDER})
        echo(f"  {stats['total_conversations']} conversations, {stats['total_messages']} messages,", end=" ")
        echo(f"average importance {stats['average_importance']:.1f}, labels {', '.join(stats['labels'])}")

    _step("The async client: the same calls, concurrently (works with asyncio and trio)")
    anyio.run(_run_async_demo, config)
    _step("Next steps")
    echo(_NEXT_STEPS, end="")


async def _run_async_demo(config: SekhaConfig) -> None:
    from sekha import AsyncSekhaClient

    async with AsyncSekhaClient(config) as client:
        found: dict[str, str] = {}

        async def ask(question: str) -> None:
            results = (await client.controller.query(question, limit=1))["results"]
            found[question] = _shorten(results[0]["content"]) if results else "no results"

        questions = ("login tokens", "project timeline", "cinnamon")
        async with anyio.create_task_group() as tasks:
            for question in questions:
                tasks.start_soon(ask, question)
        for question in questions:
            echo(f"  {question:18} {found[question]}")
        if config.bridge_url is not None:
            echo(f'  an answer: "{ASYNC_QUESTION}"\n  ', end="")
            stream = await client.stream_with_context(ASYNC_QUESTION, ASYNC_TOPIC, context_budget=ASYNC_BUDGET)
            async with stream:
                async for text in stream.text_stream():
                    echo(strip_controls(text), end="")
            echo()


def _step(text: str) -> None:
    echo(f"\n{styled('●', 'cyan') if _can_encode('●') else '*'} {styled(text, 'bold')}")


def _can_encode(character: str) -> bool:
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _shorten(text: str) -> str:
    return one_line(text, 84)
