"""What a message's content is."""

from __future__ import annotations

from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha import type_guards
from sekha.type_guards import (
    extract_image_urls,
    extract_text,
    has_images,
    has_text,
    is_multi_modal_content,
    is_string_content,
    is_valid_role,
)
from sekha.types import MessageRole

TEXT = {"type": "text", "text": "Hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}
SHORT_IMAGE = {"type": "image_url", "image_url": "data:image/png;base64,AA"}


@pytest.mark.parametrize(
    ("content", "text", "urls"),
    [
        ("Hello", "Hello", []),
        ("", "", []),
        (None, "", []),
        ([], "", []),
        ([TEXT], "Hello", []),
        ([TEXT, TEXT], "Hello\nHello", []),
        ([IMAGE], "", ["https://x.org/a.png"]),
        ([TEXT, SHORT_IMAGE, IMAGE], "Hello", ["data:image/png;base64,AA", "https://x.org/a.png"]),
        ((TEXT, IMAGE), "Hello", ["https://x.org/a.png"]),
        ([{"type": "input_audio", "text": "no"}], "", []),
        ([{"type": "text"}, {"type": "text", "text": None}], "", []),
        ([{"type": "image_url"}, {"type": "image_url", "image_url": {}}], "", []),
        ([{"type": "image_url", "image_url": {"url": 5}}, {"type": "image_url", "image_url": 5}], "", []),
        ([5, None, "text"], "", []),
    ],
)
def test_texts_and_images_are_found(content: Any, text: str, urls: List[str]) -> None:
    assert extract_text(content) == text
    assert extract_image_urls(content) == urls
    assert has_images(content) is bool(urls)
    assert has_text(content) is bool(text)


@pytest.mark.parametrize("content", [" ", "\n\t", [{"type": "text", "text": "  "}]])
def test_blank_text_is_no_text(content: Any) -> None:
    assert not has_text(content)


@pytest.mark.parametrize(
    ("content", "string", "parts"),
    [
        ("Hello", True, False),
        ([TEXT, IMAGE], False, True),
        ([], False, True),
        ([{"text": "no type"}], False, False),
        ([{"type": 5}], False, False),
        ([TEXT, "Hello"], False, False),
        ({"type": "text"}, False, False),
        (None, False, False),
        (5, False, False),
        (b"Hello", False, False),
    ],
)
def test_contents_are_told_apart(content: object, string: bool, parts: bool) -> None:
    assert is_string_content(content) is string
    assert is_multi_modal_content(content) is parts


@pytest.mark.parametrize("role", ["system", "user", "assistant", "function", "tool", *MessageRole])
def test_roles_are_known(role: str) -> None:
    assert is_valid_role(role)


@pytest.mark.parametrize("role", ["wizard", "User", "", " user", None, 5, ["user"], b"user"])
def test_other_roles_are_not(role: object) -> None:
    assert not is_valid_role(role)


anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["type", "text", "image_url", "url"]), inner, max_size=3),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "image_url"])}, optional={"text": inner, "image_url": inner}
        ),
    ),
    max_leaves=8,
)


@given(st.one_of(st.none(), st.text(max_size=5), st.lists(anything, max_size=4)))
def test_no_content_breaks_the_guards(content: Any) -> None:
    assert isinstance(extract_text(content), str)
    assert all(isinstance(url, str) for url in extract_image_urls(content))
    if is_multi_modal_content(content):
        assert all(isinstance(part["type"], str) for part in content)
    assert not (is_string_content(content) and is_multi_modal_content(content))


def test_all_documented_guards_are_public() -> None:
    documented = [
        "is_string_content",
        "is_multi_modal_content",
        "is_valid_role",
        "extract_text",
        "extract_image_urls",
        "has_images",
        "has_text",
    ]
    assert sorted(type_guards.__all__) == sorted(documented)
