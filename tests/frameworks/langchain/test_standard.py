"""LangChain's own tests of retrievers and tools, from its package `langchain-tests`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from sekha import SekhaClient
from sekha.integrations.langchain import SekhaRetriever, memory_tools
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope


class WithMemory:
    """A memory of what was said of ships."""

    memory: Memory

    @pytest.fixture(autouse=True)
    def _with_memory(self, server: LocalSekha) -> Iterator[None]:
        with SekhaClient(**server.options) as client:
            self.memory = Memory(client, Scope("shop", "ann"))
            for day in ("Monday", "Wednesday", "Friday", "Sunday"):
                self.memory.remember([{"role": "user", "content": f"We ship on {day}."}])
            yield


class TestRetriever(WithMemory, RetrieversIntegrationTests):
    """Of retrievers."""

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return SekhaRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"memory": self.memory}

    @property
    def retriever_query_example(self) -> str:
        return "When do we ship?"


class SearchTool(WithMemory):
    """The tool that searches."""

    @property
    def tool_constructor(self) -> BaseTool:
        return memory_tools(self.memory)[0]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "When do we ship?", "limit": 2}


class RememberTool(WithMemory):
    """The tool that remembers."""

    @property
    def tool_constructor(self) -> BaseTool:
        return memory_tools(self.memory)[1]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"text": "Ann likes tea."}


class TestSearchToolUnit(SearchTool, ToolsUnitTests):
    """Of tools, without a call."""


class TestSearchTool(SearchTool, ToolsIntegrationTests):
    """Of tools, with calls."""


class TestRememberToolUnit(RememberTool, ToolsUnitTests):
    """Of tools, without a call."""


class TestRememberTool(RememberTool, ToolsIntegrationTests):
    """Of tools, with calls."""
