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

FOLDER = "/sekha-demo"
QUESTION = "What have we decided about deployment and the database?"
ASYNC_QUESTION = "When does the beta ship?"
TOPIC = "deployment with docker and kubernetes, database"
BUDGET = 60
"""Tokens of context: what is about the topic, and no more."""
ASYNC_TOPIC = "project timeline of the beta"
ASYNC_BUDGET = 30

_NEXT_STEPS = """\
  sekha serve --data memory.db --env-file .env
                                    a local Sekha that keeps what it is told; its settings go to a file .env
  sekha health                      reads them, in the same folder; sekha init asks for those of another Sekha
  sekha chat                        a model that remembers, in your terminal; sekha --help has the rest

  from sekha import SekhaClient, SekhaConfig

  with SekhaClient(SekhaConfig.from_env(env_file=".env")) as client:
      client.controller.create_conversation(messages=[{"role": "user", "content": "Hello Sekha!"}])
      for hit in client.controller.query("hello")["results"]:
          print(f"{hit['score']:.2f} {hit['content']}")
"""


def run(url: Url = None, bridge_url: BridgeUrl = None) -> int:
    """Run the demo on a local Sekha, or on the given one."""
    with _server(url, bridge_url) as config:
        _run_demo(config)
    return OK


@contextmanager
def _server(url: Optional[str], bridge_url: Optional[str]) -> Generator[SekhaConfig, None, None]:
    if url or bridge_url:
        config = config_from(url, bridge_url)
        _step(f"Using the Sekha at {config.controller_url}; what is stored goes into the folder {FOLDER}")
        yield config
        return
    from sekha.local import LocalSekha

    with LocalSekha() as sekha:
        _step("Started a local Sekha on free ports, in memory")
        echo(f"  controller and MCP tools at {sekha.controller_url}, bridge at {sekha.bridge_url}")
        yield SekhaConfig(**sekha.options)


def _run_demo(config: SekhaConfig) -> None:
    from sekha import SekhaClient

    conversations: list[dict[str, Any]] = json.loads(Path(__file__).with_name("demo.json").read_text("utf-8"))
    with SekhaClient(config) as client:
        known = {row["label"] for row in client.controller.iter_conversations(folder=FOLDER)}
        missing = [conversation for conversation in conversations if conversation["label"] not in known]
        _step(f"Storing {len(missing)} conversations" + (f" ({len(known)} are there already)" if known else ""))
        for conversation in missing:
            stored = client.controller.create_conversation({**conversation, "folder": FOLDER})
            echo(f"  {stored['label']:18} {stored['message_count']} messages")

        _step(f'Searching: "{TOPIC}"')
        for hit in client.controller.query(TOPIC, limit=3)["results"]:
            echo(f"  {styled(format(hit['score'], '.2f'), 'green')}  {hit['label']:18} {_shorten(hit['content'])}")

        _step(f"Assembling context for a model, {BUDGET} tokens of it: the most relevant messages")
        for message in client.controller.assemble_context(TOPIC, context_budget=BUDGET):
            content = message["content"]
            echo(f"  {message['role']:10} {_shorten(content if isinstance(content, str) else json.dumps(content))}")

        if config.bridge_url is None:
            _step("No bridge_url: what a model would do with it is left out")
        else:
            _step(f'Completing with context: "{QUESTION}"')
            answer = client.complete_with_context(QUESTION, TOPIC, context_budget=BUDGET)
            echo(f"  {answer['choices'][0]['message']['content']}")
            echo(styled(f"  (model {answer['model']}, {answer['usage']['total_tokens']} tokens)", "dim"))

            _step("The same, streamed as it comes")
            echo("  ", end="")
            for text in client.stream_with_context(QUESTION, TOPIC, context_budget=BUDGET).text_stream():
                echo(strip_controls(text), end="")
            echo()

        _step("Looking at the memory as a whole")
        stats = client.mcp.memory_stats({"folder": FOLDER})
        echo(f"  {stats['total_conversations']} conversations, {stats['total_messages']} messages,", end=" ")
        echo(f"average importance {stats['average_importance']:.1f}, labels {', '.join(stats['labels'])}")

    _step("And all of it awaited: the same calls side by side, on asyncio or trio")
    anyio.run(_run_async_demo, config)
    _step("What next?")
    echo(_NEXT_STEPS, end="")


async def _run_async_demo(config: SekhaConfig) -> None:
    from sekha import AsyncSekhaClient

    async with AsyncSekhaClient(config) as client:
        found: dict[str, str] = {}

        async def ask(question: str) -> None:
            hits = (await client.controller.query(question, limit=1))["results"]
            found[question] = _shorten(hits[0]["content"]) if hits else "nothing"

        questions = ("login tokens", "project timeline", "cinnamon")
        async with anyio.create_task_group() as tasks:
            for question in questions:
                tasks.start_soon(ask, question)
        for question in questions:
            echo(f"  {question:18} {found[question]}")
        if config.bridge_url is not None:
            echo(f'  and an answer: "{ASYNC_QUESTION}"\n  ', end="")
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
