"""Keys of messages that a controller does not keep: which are lost, how often, and in which words it is said."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List

import pytest

from sekha._api.compat.capabilities import Capabilities, Features, lost_key_message, parse_features
from sekha._api.compat.requests import extra_keys


@pytest.mark.parametrize(
    ("messages", "keys"),
    [
        ([], []),
        ([{"role": "user", "content": "x"}], []),
        (
            [{"role": "user", "content": "x", "b": 1, "a": 2}, {"role": "user", "content": "", "a": 1, "c": 0}],
            ["b", "a", "c"],
        ),
        ([{"role": "user", "content": "x", "a": None, "b": "", "c": [], "d": {}}], []),
        ([{"role": "user", "content": "x", "a": False, "b": [None]}], ["a", "b"]),
    ],
)
def test_keys_that_hold_something_are_told(messages: List[Dict[str, Any]], keys: List[str]) -> None:
    assert extra_keys(messages) == keys


@pytest.mark.parametrize(
    ("health", "keeps"),
    [
        ({}, frozenset()),
        ({"keeps": ["timestamp", "name"]}, frozenset({"timestamp", "name"})),
        ({"keeps": ["timestamp", 5, None]}, frozenset({"timestamp"})),
        ({"keeps": "timestamp"}, frozenset()),
        ({"keeps": None}, frozenset()),
        ({"keeps": {"timestamp": True}}, frozenset()),
    ],
)
def test_what_a_server_keeps_is_a_list(health: Dict[str, Any], keeps: FrozenSet[str]) -> None:
    assert parse_features(health).keeps == keeps


def test_each_key_is_warned_of_once_and_twenty_at_most() -> None:
    capabilities = Capabilities()
    keys = [f"k{number}" for number in range(25)]
    assert [capabilities.note_lost_key(key) for key in keys] == [True] * 20 + [False] * 5
    assert not any(capabilities.note_lost_key(key) for key in keys)
    assert all(capabilities.warned_of(key) for key in [*keys, "another"])
    assert not Capabilities().warned_of("k0")


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (None, "'x' of messages may be lost: it is unknown whether the server stores it"),
        (Features(), "'x' of messages is lost: this server stores only role and content"),
        (
            Features(keeps=frozenset({"timestamp", "name"})),
            "'x' of messages is lost: this server stores only role, content, name and timestamp",
        ),
    ],
)
def test_the_words_say_what_is_kept(features: Any, words: str) -> None:
    assert lost_key_message("x", features) == words
