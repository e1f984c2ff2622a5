"""Embeddings of the bridge, in both shapes."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from sekha._api import endpoints
from sekha._api.compat.bridge import join_embeddings
from unit.vectors import answer, parse

# ---- shapes of several servers (D5, D7, D9, D22, D23, D29-D33, D43) ------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"embedding": [0.5, 1], "model": "m", "tokens_used": 3, "dimension": 2},
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}], "model": "m"},
    ],
)
def test_an_embedding_has_both_shapes(body: Dict[str, Any]) -> None:
    found = parse(endpoints.EMBED, answer(body))
    assert found["embedding"] == found["data"][0]["embedding"] == [0.5, 1]
    assert (found["object"], found["model"], found["dimension"]) == ("list", "m", 2)
    assert found["usage"]["total_tokens"] == body.get("tokens_used")


def test_embeddings_of_several_texts_become_one_answer_in_order() -> None:
    answers = [parse(endpoints.EMBED, answer({"embedding": [n], "model": "m"})) for n in (1, 2)]
    assert join_embeddings(answers)["usage"] == {"prompt_tokens": None, "total_tokens": None}
    answers = [parse(endpoints.EMBED, answer({"embedding": [n], "model": "m", "tokens_used": n})) for n in (1, 2, 3)]
    joined = join_embeddings(answers)
    assert [item["index"] for item in joined["data"]] == [0, 1, 2]
    assert [item["embedding"] for item in joined["data"]] == [[1], [2], [3]]
    assert joined["embedding"] == [1]
    assert joined["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
