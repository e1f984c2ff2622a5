"""What type checkers must see in async user code; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, AsyncIterator, Iterable, Literal, Optional, TypedDict, Union

from typing_extensions import assert_type

import sekha
from sekha import (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncMemoryStream,
    AsyncSekhaClient,
    AsyncStream,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    SekhaAPIError,
    SekhaConfig,
    WaitEvent,
    create_async_sekha_client,
)
from sekha.gates import AsyncGate, Gate
from sekha.integrations.redis import RedisRateLimiter, RedisWriteGate, WriteRelease
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, AsyncTurn, Recalled, Scope, ToolResult, with_block
from sekha.testing import async_check_no_leak
from sekha.type_guards import extract_text, has_images, is_multi_modal_content, is_string_content
from sekha.types import (
    BuiltMessages,
    ChatCompletion,
    ChatCompletionChunk,
    ClientConfig,
    ContentPart,
    Conversation,
    ConversationCount,
    ConversationListItem,
    ConversationListResponse,
    Embedding,
    FullTextResponse,
    LabelSuggestion,
    MemoryCompletion,
    MemoryExport,
    MemoryItem,
    MemorySearchResponse,
    MemoryStats,
    Message,
    MessageContent,
    PruneResponse,
    QueryResponse,
    SearchResult,
    SearchResults,
    ServiceHealth,
    SummaryLevel,
    SummaryResponse,
)


async def construct(config: SekhaConfig, service: ClientConfig) -> None:
    assert_type(AsyncSekhaClient(config), AsyncSekhaClient)
    assert_type(AsyncSekhaClient(config, timeout=None, max_retries=5, headers={"X-Tenant": "a"}), AsyncSekhaClient)
    assert_type(
        create_async_sekha_client(controller_url="http://localhost:8080", api_key="k", timeout=3.0), AsyncSekhaClient
    )
    assert_type(
        AsyncMemoryController(base_url="http://localhost:8080", api_key="k", deadline=5.0), AsyncMemoryController
    )
    assert_type(AsyncMemoryController(service), AsyncMemoryController)
    assert_type(AsyncBridgeClient(base_url="http://localhost:5001"), AsyncBridgeClient)
    assert_type(AsyncMCPClient(service, rate_limit_requests=10), AsyncMCPClient)
    with LocalSekha() as sekha:
        client = AsyncSekhaClient(**sekha.options)
        async with client as entered:
            assert_type(entered, AsyncSekhaClient)
        assert_type(client.with_options(max_retries=0), AsyncSekhaClient)
        assert_type(client.controller.with_options(timeout=None), AsyncMemoryController)


def hooks(config: SekhaConfig) -> None:
    def on_request(event: RequestEvent) -> None:
        assert_type(event.attempt, int)

    def on_response(event: ResponseEvent) -> int:
        assert_type(event.status, Optional[int])
        assert_type(event.error, Optional[type[BaseException]])
        return 0

    def on_retry(event: RetryEvent) -> None:
        assert_type(event.error, type[BaseException])
        assert_type(event.wait, float)

    def on_wait(event: WaitEvent) -> None:
        assert_type(event.reason, Literal["rate_limit", "connection", "write_slot"])
        assert_type(event.seconds, Optional[float])

    AsyncSekhaClient(config, on_request=on_request, on_response=on_response, on_retry=lambda event: print(event.wait))
    AsyncMemoryController(base_url="http://localhost:8080", api_key="k", on_retry=on_retry, tracing=False)
    AsyncSekhaClient(config.replace(on_response=on_response, on_retry=on_retry, on_wait=on_wait))
    AsyncSekhaClient(config, on_wait=on_wait, rate_limit_requests=None)
    AsyncSekhaClient(config, rate_limit_requests="none")
    gate = RedisWriteGate("redis://localhost:6379", name="memory", limit=4, lease=30.0)
    AsyncSekhaClient(config, write_gate=gate, rate_limiter=RedisRateLimiter("redis://localhost:6379", requests=100))
    AsyncSekhaClient(config, write_gate="process", rate_limiter="process")
    assert_type(config.replace(write_gate=gate).write_gate, Union[Literal["shared", "process"], Gate, AsyncGate])
    assert_type(gate.acquire(1.0), Optional[WriteRelease])


async def controller(client: AsyncSekhaClient) -> None:
    created = await client.controller.create_conversation(
        {"label": "My Conversation", "messages": [{"role": "user", "content": "Hello Sekha!"}]}
    )
    assert_type(created, Conversation)
    assert_type(created["message_count"], Optional[int])
    results = await client.controller.query(query="auth", limit=10, filters={"labels": ["work"]})
    assert_type(results, QueryResponse)
    for result in results["results"]:
        assert_type(result, SearchResult)
        assert_type(result["score"], float)
    context = await client.controller.assemble_context("auth", context_budget=8000, preferred_labels=("API",))
    assert_type(context, list[Message])
    await client.bridge.complete(
        [{"role": "system", "content": "Be brief."}, *context, {"role": "user", "content": "?"}]
    )
    assert_type(await client.controller.list_conversations(folder="/work", pinned=True), ConversationListResponse)
    async for row in client.controller.iter_conversations():
        assert_type(row, ConversationListItem)
    assert_type(await client.controller.get_messages(created["id"]), list[Message])
    assert_type(await client.controller.count_conversations(), ConversationCount)
    assert_type(await client.controller.full_text_search("C++"), FullTextResponse)
    assert_type(await client.controller.summarize(created["id"], level=SummaryLevel.WEEKLY), SummaryResponse)
    assert_type(await client.controller.prune_dry_run(threshold_days=90), PruneResponse)
    assert_type(await client.controller.suggest_labels(created["id"]), list[LabelSuggestion])
    assert_type(await client.controller.health(), ServiceHealth)
    assert_type(await client.controller.metrics(), str)


async def bridge(client: AsyncSekhaClient) -> None:
    response = await client.bridge.complete(messages=[{"role": "user", "content": "Hi"}], temperature=0)
    assert_type(response, ChatCompletion)
    assert_type(response["choices"][0]["message"]["content"], Optional[str])
    assert_type(response["usage"]["total_tokens"], Optional[int])
    stream = await client.bridge.stream_complete(messages=[{"role": "user", "content": "Hi"}])
    assert_type(stream, AsyncStream)
    async for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
        assert_type(chunk["choices"][0].get("delta", {}).get("content", ""), Optional[str])
    async for text in stream.text_stream():
        assert_type(text, str)
    assert_type(await stream.get_final_completion(), ChatCompletion)
    assert_type(await stream.get_final_text(), str)
    embedding = await client.bridge.embed(input=["a", "b"])
    assert_type(embedding, Embedding)
    assert_type(embedding["data"][0]["embedding"], list[float])
    assert_type((await client.bridge.health())["status"], str)


async def tools(client: AsyncSekhaClient) -> None:
    stats = await client.mcp.memory_stats({"labels": ["important"], "start_date": "2026-01-01T00:00:00Z"})
    assert_type(stats, MemoryStats)
    assert_type(stats["total_messages"], Optional[int])
    assert_type(await client.mcp.memory_search(query="decisions", min_importance=7), MemorySearchResponse)
    assert_type(await client.mcp.memory_export("550e8400-e29b-41d4-a716-446655440000"), MemoryExport)


async def workflows(client: AsyncSekhaClient) -> None:
    found = await client.store_and_query(messages=[{"role": "user", "content": "Hi"}], query="hi", label="Greeting")
    assert_type(found, SearchResults)
    assert_type(found.conversation, Conversation)
    assert_type(found.related, list[SearchResult])
    assert_type(await client.complete_with_context(prompt="Go on", context_query="plans"), MemoryCompletion)
    response = await client.complete_with_memory(prompt="Sum up:", search_query="plans", limit=5)
    assert_type(response, MemoryCompletion)
    assert_type(response["memories"], list[MemoryItem])
    assert_type(response["memories"][0]["score"], Optional[float])
    assert_type(response["memories"][0]["content"], str)
    assert_type(response.get("memory_error"), Optional[str])
    completion: ChatCompletion = response
    assert_type(completion["choices"][0]["message"]["content"], Optional[str])
    async for chunk in await client.stream_with_context(prompt="Go on", context_query="plans"):
        print(chunk["choices"][0]["delta"].get("content", ""), end="")
    stream = await client.stream_with_memory(messages=[{"role": "user", "content": "Hi"}], min_score=0.5, limit=3)
    assert_type(stream, AsyncMemoryStream)
    assert_type(stream.memories, list[MemoryItem])
    assert_type(stream.memory_error, Optional[str])
    assert_type(await stream.get_final_completion(), MemoryCompletion)
    async with client.stream_with_memory("Hi") as entered:
        assert_type(entered, AsyncMemoryStream)
    async with client.bridge.stream_complete([]) as plain:
        assert_type(plain, AsyncStream)
    built = await client.build_messages("Hi", on_memory_error="ignore")
    assert_type(built, BuiltMessages)
    assert_type(built["memories"][0]["label"], Optional[str])
    needs_typed_messages(built["messages"])
    for service, status in (await client.health_check()).items():
        assert_type(service, str)
        assert_type(status, ServiceHealth)


class OpenAIMessage(TypedDict):
    """What a client of a model has for a message."""

    role: str
    content: str


def needs_typed_messages(messages: Iterable[OpenAIMessage]) -> None: ...


def guards(content: MessageContent, error: SekhaAPIError) -> None:
    if is_string_content(content):
        assert_type(content, str)
    else:
        assert_type(content, list[ContentPart])
    if is_multi_modal_content(content):
        print(content[0]["type"])
    assert_type(extract_text(content), str)
    assert_type(has_images(content), bool)
    assert_type(error.status_code, int)
    assert_type(error.retry_after, Optional[float])
    assert_type(error.may_have_been_applied, bool)


def misspelt() -> object:
    """Names are known to type checkers, though some are loaded late."""
    return sekha.misspelt  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType] - this is what is shown


async def memory(client: AsyncSekhaClient, chunks: AsyncIterator[bytes]) -> None:
    memory = AsyncMemory(client, Scope("shop", "ann", session="s1"), on_error="raise")
    assert_type(AsyncMemory(lambda scope: client, memory.scope, on_error=print).in_session(None), AsyncMemory)
    assert_type(memory.client, AsyncSekhaClient)
    recalled = await memory.recall("auth", limit=5, min_score=0.5)
    assert_type(recalled, Recalled)
    for result in recalled:
        assert_type(result, SearchResult)
    block = await memory.block("auth", max_tokens=500)
    assert_type(block, str)
    chat = [{"role": "user", "content": "Hello Sekha!"}]
    request = with_block(chat, block)
    assert_type(request[0]["role"], Any)
    assert_type(await memory.remember(chat, tool_results=True), Optional[Conversation])
    async for chunk in memory.remember_stream(chat, chunks, text_of=bytes.decode):
        assert_type(chunk, bytes)
    turn = memory.turn(max_tokens=500)
    assert_type(turn, AsyncTurn)
    assert_type(await turn.with_memory(chat), list[dict[str, Any]])
    assert_type(await memory.call_tool("remember", {"text": "Ann likes tea."}), ToolResult)
    await async_check_no_leak(lambda user: AsyncMemory(client, Scope("shop", user)))
