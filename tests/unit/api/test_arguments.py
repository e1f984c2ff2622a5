"""Arguments of calls: the schemas refuse what is wrong by the name of the field (C11)."""

from __future__ import annotations

import json
import math
from collections import UserDict
from typing import Any, Dict, List, Mapping

import pytest

from sekha._api.arguments import (
    ChatRequest,
    EmbedRequest,
    ListRequest,
    MemoryPruneRequest,
    PromptRequest,
    SummarizeRequest,
    UpdateRequest,
)
from sekha._api.validation import validate
from sekha.errors import SekhaValidationError
from sekha.types import (
    ContextAssembleRequest,
    CreateConversationRequest,
    MemorySearchRequest,
    MemoryStatsRequest,
    PruneRequest,
    QueryRequest,
    SummaryLevel,
)

USER = {"role": "user", "content": "Hello"}


def refusal(shape: Any, values: Mapping[str, object]) -> SekhaValidationError:
    with pytest.raises(SekhaValidationError) as caught:
        validate(shape, values)
    error = caught.value
    assert error.sent is False
    assert error.status_code == 400
    assert error.may_have_been_applied is False
    assert isinstance(error, ValueError)
    assert str(error).startswith(f"{error.field}: ")
    return error


# ---- plain data ----------------------------------------------------------------------------------------------


def test_data_that_holds_itself_is_refused_and_not_followed_for_ever() -> None:
    endless: List[object] = []
    endless.append(endless)
    assert "deep" in str(refusal(CreateConversationRequest, {"messages": endless}))
    message: Dict[str, object] = {**USER}
    message["metadata"] = message
    assert "deep" in str(refusal(CreateConversationRequest, {"messages": [message]}))


# ---- requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "values", "field", "words"),
    [
        (CreateConversationRequest, {"messages": [USER, {"content": "x"}]}, "messages[1].role", "is required"),
        (CreateConversationRequest, {"messages": [{"role": "user"}]}, "messages[0].content", "is required"),
        (
            CreateConversationRequest,
            {"messages": [{**USER, "role": 5}]},
            "messages[0].role",
            "must be a string, not int",
        ),
        (CreateConversationRequest, {"messages": [{**USER, "role": ""}]}, "messages[0].role", "not be empty"),
        (CreateConversationRequest, {"messages": [{**USER, "role": None}]}, "messages[0].role", "not None"),
        (CreateConversationRequest, {"messages": [{**USER, "content": 5}]}, "messages[0].content", "not int"),
        (CreateConversationRequest, {"messages": [{**USER, "content": None}]}, "messages[0].content", "not None"),
        (
            CreateConversationRequest,
            {"messages": [USER, {"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[1].content[0].text",
            "must be a string, not int",
        ),
        (
            CreateConversationRequest,
            {"messages": [{"role": "user", "content": [{"text": "no type"}]}]},
            "messages[0].content[0].type",
            "is required",
        ),
        (
            CreateConversationRequest,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
            "is required",
        ),
        (CreateConversationRequest, {"messages": ["hi"]}, "messages[0]", "must be a dictionary, not str"),
        (CreateConversationRequest, {"messages": "hi"}, "messages", "must be a list, not str"),
        (CreateConversationRequest, {"messages": USER}, "messages", "must be a list, not dict"),
        (CreateConversationRequest, {"label": ""}, "label", "not be empty"),
        (CreateConversationRequest, {"label": 5}, "label", "must be a string, not int"),
        (CreateConversationRequest, {"labell": "x"}, "labell", "check the spelling"),
        (CreateConversationRequest, {"importance_score": 0}, "importance_score", "at least 1"),
        (CreateConversationRequest, {"importance_score": 11}, "importance_score", "at most 10"),
        (CreateConversationRequest, {"importance_score": 7.0}, "importance_score", "whole number, not float"),
        (CreateConversationRequest, {"importance_score": 7.5}, "importance_score", "whole number, not float"),
        (CreateConversationRequest, {"importance_score": True}, "importance_score", "whole number, not bool"),
        (CreateConversationRequest, {"importance_score": "7"}, "importance_score", "whole number, not str"),
        (QueryRequest, {}, "query", "is required"),
        (QueryRequest, {"query": ""}, "query", ""),
        (QueryRequest, {"query": " \n\t"}, "query", ""),
        (QueryRequest, {"query": "x", "limit": 0}, "limit", "at least 1"),
        (QueryRequest, {"query": "x", "limit": -1}, "limit", "at least 1"),
        (QueryRequest, {"query": "x", "limit": 2**32}, "limit", "at most"),
        (QueryRequest, {"query": "x", "limit": 1.0}, "limit", "whole number, not float"),
        (QueryRequest, {"query": "x", "limit": True}, "limit", "whole number, not bool"),
        (QueryRequest, {"query": "x", "min_score": True}, "min_score", "must be a number, not bool"),
        (QueryRequest, {"query": "x", "min_score": "0.5"}, "min_score", "must be a number, not str"),
        (
            QueryRequest,
            {"query": "x", "filters": {"min_importance": "5"}},
            "filters.min_importance",
            "must be a number, not str",
        ),
        (QueryRequest, {"query": "x", "offset": -1}, "offset", "at least 0"),
        (QueryRequest, {"query": "x", "filters": {"folders": "/x"}}, "filters.folders", "check the spelling"),
        (QueryRequest, {"query": "x", "filters": {"labels": "x"}}, "filters.labels", "must be a list, not str"),
        (QueryRequest, {"query": "x", "filters": {"min_importance": "5"}}, "filters.min_importance", "not str"),
        (QueryRequest, {"query": "x", "filters": {"min_importance": True}}, "filters.min_importance", "not bool"),
        (QueryRequest, {"query": "x", "filters": {"min_importance": math.nan}}, "filters.min_importance", "finite"),
        (QueryRequest, {"query": "x", "filters": [1]}, "filters", "must be a dictionary, not list"),
        (ContextAssembleRequest, {"query": "x", "context_budget": 1.5}, "context_budget", "whole number"),
        (ContextAssembleRequest, {"query": "x", "context_budget": -1}, "context_budget", "at least 0"),
        (ContextAssembleRequest, {"query": "x", "preferred_labels": "x"}, "preferred_labels", "list, not str"),
        (ContextAssembleRequest, {"query": "x", "excluded_folders": ["/a", 5]}, "excluded_folders[1]", "not int"),
        (PruneRequest, {"threshold_days": -1}, "threshold_days", "at least 0"),
        (PruneRequest, {"threshold_days": 36501}, "threshold_days", "at most 36500"),
        (PruneRequest, {"threshold_days": 1.5}, "threshold_days", "whole number"),
        (PruneRequest, {"threshold_days": None}, "threshold_days", "not None"),
        (MemoryStatsRequest, {"date": "x"}, "date", "check the spelling"),
        (MemorySearchRequest, {"query": " "}, "query", ""),
        (SummarizeRequest, {"level": "yearly"}, "level", "daily"),
        (SummarizeRequest, {"level": 1}, "level", "daily"),
        (ListRequest, {"pinned": 1}, "pinned", "True or False, not int"),
        (ListRequest, {"pinned": "true"}, "pinned", "True or False, not str"),
        (ListRequest, {"page": 0}, "page", "at least 1"),
        (ChatRequest, {"messages": []}, "messages", "not be empty"),
        (ChatRequest, {"messages": [USER], "temperature": 2.1}, "temperature", "at most 2"),
        (ChatRequest, {"messages": [USER], "temperature": True}, "temperature", "not bool"),
        (ChatRequest, {"messages": [USER], "temperature": "0.5"}, "temperature", "not str"),
        (ChatRequest, {"messages": [USER], "max_tokens": 0}, "max_tokens", "at least 1"),
        (EmbedRequest, {"input": []}, "input", "not be empty"),
        (EmbedRequest, {"input": ["a", ""]}, "input[1]", "not be empty"),
        (EmbedRequest, {"input": ["a", 5]}, "input[1]", "string, not int"),
        (UpdateRequest, {"status": "deleted"}, "status", "active"),
        (MemoryPruneRequest, {"threshold_days": 1, "importance_threshold": 11}, "importance_threshold", "10"),
        (PromptRequest, {"prompt": "x", "system": " "}, "system", ""),
    ],
)
def test_a_bad_argument_is_refused_by_its_name(
    shape: Any, values: Mapping[str, object], field: str, words: str
) -> None:
    error = refusal(shape, values)
    assert error.field == field
    assert words in error.message


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (CreateConversationRequest, {"messages": []}),
        (CreateConversationRequest, {"messages": [{**USER, "name": "Ada", "metadata": {"a": [1, None]}}]}),
        (CreateConversationRequest, {"messages": [{"role": "wizard", "content": ""}]}),
        (
            CreateConversationRequest,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Look"},
                            {"type": "image_url", "image_url": {"url": "https://x.org/a.png", "detail": "low"}},
                            {"type": "image_url", "image_url": "https://x.org/a.png"},
                            {"type": "later", "what": {"is": "new"}},
                        ],
                    }
                ]
            },
        ),
        (CreateConversationRequest, {"label": "x", "folder": "/", "importance_score": 10}),
        (QueryRequest, {"query": "x", "limit": 1, "offset": 0, "filters": {}}),
        (QueryRequest, {"query": "x", "filters": {"min_importance": 5, "labels": []}}),
        (QueryRequest, {"query": "x", "filters": {"min_importance": 5.5}}),
        (PruneRequest, {"threshold_days": 0}),
        (PruneRequest, {"threshold_days": 36500}),
        (ChatRequest, {"messages": [USER], "temperature": 0, "max_tokens": 1}),
        (EmbedRequest, {"input": "text"}),
        (EmbedRequest, {"input": ["a", "b"]}),
        (MemoryStatsRequest, {}),
    ],
)
def test_good_arguments_come_through_unchanged(shape: Any, values: Dict[str, object]) -> None:
    found = validate(shape, values)
    assert found == values
    assert json.dumps(found, sort_keys=True) == json.dumps(values, sort_keys=True), "5 stays 5, and 5.0 stays 5.0"


def test_enumerations_may_be_given_as_members_and_are_sent_as_plain_strings() -> None:
    found = validate(SummarizeRequest, {"level": SummaryLevel.WEEKLY})
    assert found == {"level": "weekly"}
    assert type(found["level"]) is str


def test_sequences_and_mappings_that_are_no_list_and_no_dict_will_do() -> None:
    message = UserDict(USER)
    assert validate(CreateConversationRequest, {"messages": (message,)}) == {"messages": [USER]}


def test_a_refusal_does_not_drag_pydantics_error_along() -> None:
    error = refusal(QueryRequest, {})
    assert error.__cause__ is None
    assert error.__suppress_context__
