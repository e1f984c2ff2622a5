"""What the URL of a model means."""

from __future__ import annotations

from typing import Optional

import pytest

from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.models.addresses import Address, parse_address
from sekha.local.models.settings import server_settings


@pytest.mark.parametrize(
    ("url", "base", "kind"),
    [
        ("http://localhost:11434", "http://localhost:11434", None),
        ("http://localhost:11434/", "http://localhost:11434", None),
        ("http://api:11434", "http://api:11434", None),
        ("http://api.example.org", "http://api.example.org", None),
        ("http://v1:8000", "http://v1:8000", None),
        ("http://host:11434/api", "http://host:11434/api", "ollama"),
        ("http://host:11434/api/", "http://host:11434/api", "ollama"),
        ("http://host:11434/api/chat", "http://host:11434/api", "ollama"),
        ("http://host:11434/api/embed", "http://host:11434/api", "ollama"),
        ("https://host/behind/a/proxy/api", "https://host/behind/a/proxy/api", "ollama"),
        ("http://host:1234/v1", "http://host:1234/v1", "openai"),
        ("http://host:1234/v1/", "http://host:1234/v1", "openai"),
        ("http://host:1234/v1/chat/completions", "http://host:1234/v1", "openai"),
        ("http://host:1234/v1/embeddings", "http://host:1234/v1", "openai"),
        ("https://v1.example.org/v1", "https://v1.example.org/v1", "openai"),
        ("https://api.example.org/v1", "https://api.example.org/v1", "openai"),
        ("https://host/api/v1", "https://host/api/v1", "openai"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai", "openai"),
        ("https://host/v1beta/openai/", "https://host/v1beta/openai", "openai"),
        ("https://host/v1/openai", "https://host/v1/openai", "openai"),
        ("https://host/openai/deployments/v1", "https://host/openai/deployments/v1", "openai"),
        ("http://host/api/chat/completions", "http://host/api", "openai"),
        ("http://host/apis", "http://host/apis", "openai"),
        ("HTTP://Host:80/v1", "http://Host:80/v1", "openai"),
        ("http://[::1]:11434", "http://[::1]:11434", None),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "openai"),
    ],
)
def test_an_address_is_taken_as_it_is(url: str, base: str, kind: Optional[str]) -> None:
    assert parse_address(url) == Address(base, kind)  # type: ignore[arg-type]  # of a table


def test_the_address_of_a_host_becomes_that_of_its_kind() -> None:
    address = parse_address("http://api:11434")
    assert address.resolved("ollama") == Address("http://api:11434/api", "ollama")
    assert address.resolved("openai") == Address("http://api:11434/v1", "openai")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:11434", "must look like http://host:port/v1, not 'localhost:11434'"),
        ("ftp://x", "must look like"),
        ("http://", "must look like"),
        ("/v1", "must look like"),
        ("http://host:0/v1", "must look like"),
        ("http://host:99999/v1", "must look like"),
        ("http://host:port/v1", "must look like"),
        ("http://[::1/v1", "must look like"),
        ("http://host/v 1", "must look like"),
        ("http://host/v1\n", "must look like"),
        ("http://host\\v1", "must look like"),
        ("http://host/v1?key=sk-secret", "must not contain a query"),
        ("http://host/v1?", "must not contain a query"),
        ("http://host/v1#sk-secret", "must not contain a fragment"),
        ("http://me:sk-secret@host/v1", "must not contain a user name or password"),
        ("http://sk-secret@host/v1", "must not contain a user name or password"),
        ("http://me:sk-secret@[::1/v1", "must look like"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(url: str, said: str) -> None:
    with pytest.raises(ValueError, match="the URL of a model") as caught:
        parse_address(url)
    assert said in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    with pytest.raises(LocalSekhaError, match="the URL of a model"):
        LocalSekha(llm_url=url)


def test_settings_that_nothing_can_be_done_with_are_refused() -> None:
    for name in ("llm", "embeddings"):
        with pytest.raises(LocalSekhaError, match=f"{name}_model requires {name}_url"):
            LocalSekha(**{f"{name}_model": "x"})  # type: ignore[arg-type]  # of both
        with pytest.raises(LocalSekhaError, match=f"{name}_model must not be blank"):
            LocalSekha(**{f"{name}_url": "http://host", f"{name}_model": " "})  # type: ignore[arg-type]  # of both
        for key in ("sk secret", "sk-secret\n", "sk-sécret"):
            with pytest.raises(LocalSekhaError, match=f"{name}_key must consist of ASCII") as caught:
                LocalSekha(**{f"{name}_url": "http://host", f"{name}_key": key})  # type: ignore[arg-type]  # of both
            assert key not in str(caught.value)
    assert server_settings("llm", None, None, "sk-secret") is None, "a key of the environment may be for later"
    assert "sk-secret" not in repr(server_settings("llm", "http://host", None, "sk-secret"))
