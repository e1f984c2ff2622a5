"""What type checkers must see in blocking user code; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Literal, Optional, TypedDict, Union

from typing_extensions import assert_type

import sekha
from sekha import (
    BridgeClient,
    MCPClient,
    MemoryController,
    MemoryStream,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    SekhaAPIError,
    SekhaClient,
    SekhaConfig,
    Stream,
    WaitEvent,
    create_sekha_client,
)
from sekha.gates import AsyncGate, Gate
from sekha.integrations.redis import RedisRateLimiter, RedisWriteGate, WriteRelease
from sekha.local import LocalSekha
from sekha.memory import Memory, Recalled, Scope, ToolResult, Turn, with_block
from sekha.testing import check_no_leak
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


def construct(config: SekhaConfig, service: ClientConfig) -> None:
    assert_type(SekhaClient(config), SekhaClient)
    assert_type(SekhaClient(config, timeout=None, max_retries=5, headers={"X-Tenant": "a"}), SekhaClient)
    assert_type(create_sekha_client(controller_url="http://localhost:8080", api_key="k", timeout=3.0), SekhaClient)
    assert_type(MemoryController(base_url="http://localhost:8080", api_key="k", deadline=5.0), MemoryController)
    assert_type(MemoryController(service), MemoryController)
    assert_type(BridgeClient(base_url="http://localhost:5001"), BridgeClient)
    assert_type(MCPClient(service, rate_limit_requests=10), MCPClient)
    with LocalSekha() as sekha, SekhaClient(**sekha.options) as client:
        assert_type(client, SekhaClient)
        assert_type(client.with_options(max_retries=0), SekhaClient)
        assert_type(client.controller.with_options(timeout=None), MemoryController)


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

    SekhaClient(config, on_request=on_request, on_response=on_response, on_retry=lambda event: print(event.wait))
    MemoryController(base_url="http://localhost:8080", api_key="k", on_retry=on_retry, tracing=False)
    SekhaClient(config.replace(on_response=on_response, on_retry=on_retry, on_wait=on_wait))
    SekhaClient(config, on_wait=on_wait, rate_limit_requests=None)
    SekhaClient(config, rate_limit_requests="none")
    gate = RedisWriteGate("redis://localhost:6379", name="memory", limit=4, lease=30.0)
    SekhaClient(config, write_gate=gate, rate_limiter=RedisRateLimiter("redis://localhost:6379", requests=100))
    SekhaClient(config, write_gate="process", rate_limiter="process")
    assert_type(config.replace(write_gate=gate).write_gate, Union[Literal["shared", "process"], Gate, AsyncGate])
    assert_type(gate.acquire(1.0), Optional[WriteRelease])


def controller(client: SekhaClient) -> None:
    created = client.controller.create_conversation(
        {"label": "My Conversation", "messages": [{"role": "user", "content": "Hello Sekha!"}]}
    )
    assert_type(created, Conversation)
    assert_type(created["message_count"], Optional[int])
    results = client.controller.query(query="auth", limit=10, filters={"labels": ["work"]})
    assert_type(results, QueryResponse)
    for result in results["results"]:
        assert_type(result, SearchResult)
        assert_type(result["score"], float)
    context = client.controller.assemble_context("auth", context_budget=8000, preferred_labels=("API",))
    assert_type(context, list[Message])
    client.bridge.complete([{"role": "system", "content": "Be brief."}, *context, {"role": "user", "content": "?"}])
    assert_type(client.controller.list_conversations(folder="/work", pinned=True), ConversationListResponse)
    for row in client.controller.iter_conversations():
        assert_type(row, ConversationListItem)
    assert_type(client.controller.get_messages(created["id"]), list[Message])
    assert_type(client.controller.count_conversations(), ConversationCount)
    assert_type(client.controller.full_text_search("C++"), FullTextResponse)
    assert_type(client.controller.summarize(created["id"], level=SummaryLevel.WEEKLY), SummaryResponse)
    assert_type(client.controller.prune_dry_run(threshold_days=90), PruneResponse)
    assert_type(client.controller.suggest_labels(created["id"]), list[LabelSuggestion])
    assert_type(client.controller.health(), ServiceHealth)
    assert_type(client.controller.metrics(), str)


def bridge(client: SekhaClient) -> None:
    response = client.bridge.complete(messages=[{"role": "user", "content": "Hi"}], temperature=0)
    assert_type(response, ChatCompletion)
    assert_type(response["choices"][0]["message"]["content"], Optional[str])
    assert_type(response["usage"]["total_tokens"], Optional[int])
    stream = client.bridge.stream_complete(messages=[{"role": "user", "content": "Hi"}])
    assert_type(stream, Stream)
    for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
        assert_type(chunk["choices"][0].get("delta", {}).get("content", ""), Optional[str])
    for text in stream.text_stream():
        assert_type(text, str)
    assert_type(stream.get_final_completion(), ChatCompletion)
    assert_type(stream.get_final_text(), str)
    embedding = client.bridge.embed(input=["a", "b"])
    assert_type(embedding, Embedding)
    assert_type(embedding["data"][0]["embedding"], list[float])
    assert_type(client.bridge.health()["status"], str)


def tools(client: SekhaClient) -> None:
    stats = client.mcp.memory_stats({"labels": ["important"], "start_date": "2026-01-01T00:00:00Z"})
    assert_type(stats, MemoryStats)
    assert_type(stats["total_messages"], Optional[int])
    assert_type(client.mcp.memory_search(query="decisions", min_importance=7), MemorySearchResponse)
    assert_type(client.mcp.memory_export("550e8400-e29b-41d4-a716-446655440000"), MemoryExport)


def workflows(client: SekhaClient) -> None:
    found = client.store_and_query(messages=[{"role": "user", "content": "Hi"}], query="hi", label="Greeting")
    assert_type(found, SearchResults)
    assert_type(found.conversation, Conversation)
    assert_type(found.related, list[SearchResult])
    assert_type(client.complete_with_context(prompt="Go on", context_query="plans"), MemoryCompletion)
    response = client.complete_with_memory(prompt="Sum up:", search_query="plans", limit=5)
    assert_type(response, MemoryCompletion)
    assert_type(response["memories"], list[MemoryItem])
    assert_type(response["memories"][0]["score"], Optional[float])
    assert_type(response["memories"][0]["content"], str)
    assert_type(response.get("memory_error"), Optional[str])
    completion: ChatCompletion = response
    assert_type(completion["choices"][0]["message"]["content"], Optional[str])
    for chunk in client.stream_with_context(prompt="Go on", context_query="plans"):
        print(chunk["choices"][0]["delta"].get("content", ""), end="")
    stream = client.stream_with_memory(messages=[{"role": "user", "content": "Hi"}], min_score=0.5, limit=3)
    assert_type(stream, MemoryStream)
    assert_type(stream.memories, list[MemoryItem])
    assert_type(stream.memory_error, Optional[str])
    assert_type(stream.get_final_completion(), MemoryCompletion)
    with client.stream_with_memory("Hi") as entered:
        assert_type(entered, MemoryStream)
    built = client.build_messages("Hi", on_memory_error="ignore")
    assert_type(built, BuiltMessages)
    assert_type(built["memories"][0]["label"], Optional[str])
    needs_typed_messages(built["messages"])
    for service, status in client.health_check().items():
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


def memory(client: SekhaClient, chunks: Iterator[bytes]) -> None:
    memory = Memory(client, Scope("shop", "ann", session="s1"), on_error="raise")
    assert_type(Memory(lambda scope: client, memory.scope, on_error=print).in_session(None), Memory)
    assert_type(memory.client, SekhaClient)
    recalled = memory.recall("auth", limit=5, min_score=0.5)
    assert_type(recalled, Recalled)
    for result in recalled:
        assert_type(result, SearchResult)
    block = memory.block("auth", max_tokens=500)
    assert_type(block, str)
    chat = [{"role": "user", "content": "Hello Sekha!"}]
    request = with_block(chat, block)
    assert_type(request[0]["role"], Any)
    assert_type(memory.remember(chat, tool_results=True), Optional[Conversation])
    for chunk in memory.remember_stream(chat, chunks, text_of=bytes.decode):
        assert_type(chunk, bytes)
    turn = memory.turn(max_tokens=500)
    assert_type(turn, Turn)
    assert_type(turn.with_memory(chat), list[dict[str, Any]])
    assert_type(memory.call_tool("remember", {"text": "Ann likes tea."}), ToolResult)
    check_no_leak(lambda user: Memory(client, Scope("shop", user)))
