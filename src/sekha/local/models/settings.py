"""Which models a local Sekha uses: those on servers that were named, and the built-in ones."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Tuple

from sekha._utils.redaction import Secret
from sekha.local.models import ChatModel, Embedder
from sekha.local.models.addresses import Address, parse_address
from sekha.local.models.placeholder import ExtractiveModel, HashEmbedder


class ServerSettings(NamedTuple):
    """A server of models, as it was set.

    `name` is `llm` or `embeddings`, as the settings begin. Without a `model`, the server must have one only.
    """

    name: str
    address: Address
    model: Optional[str] = None
    key: Optional[Secret] = None

    @property
    def model_setting(self) -> str:
        """The setting that names the model, as a message says it."""
        return f"{self.name}_model (--{self.name}-model)"

    @property
    def key_setting(self) -> str:
        """The variable of the key."""
        return f"SEKHA_{self.name.upper()}_KEY"


class ModelSettings(NamedTuple):
    """The models of a local Sekha, as they were set; without a server, a built-in one is used."""

    llm: Optional[ServerSettings] = None
    embeddings: Optional[ServerSettings] = None
    query_prefix: str = ""
    passage_prefix: str = ""


def server_settings(
    name: str, url: Optional[str], model: Optional[str] = None, key: Optional[str] = None
) -> Optional[ServerSettings]:
    """Return the settings of a server; None without a URL.

    Raises:
        ValueError: The URL, the model or the key cannot be used.
    """
    if not url:
        if model is not None:
            raise ValueError(f"{name}_model needs {name}_url: the built-in model has no other")
        return None
    if model is not None and not model.strip():
        raise ValueError(f"{name}_model must not be blank")
    if key and not re.fullmatch("[!-~]+", key):
        raise ValueError(f"{name}_key must be one word of ASCII characters")
    return ServerSettings(name, parse_address(url), model, Secret(key, f"{name}_key") if key else None)


def make_models(settings: ModelSettings) -> Tuple[Embedder, ChatModel]:
    """Return the models for these settings.

    Raises:
        SekhaConfigError: A proxy of the environment cannot be used.
    """
    embedder: Embedder = HashEmbedder()
    chat: ChatModel = ExtractiveModel()
    if settings.embeddings is not None:  # what reaches a server takes long to import
        from sekha.local.models.embeddings import RemoteEmbedder

        embedder = RemoteEmbedder(settings.embeddings, settings.query_prefix, settings.passage_prefix)
    if settings.llm is not None:
        from sekha.local.models.chat import RemoteChat

        chat = RemoteChat(settings.llm)
    return embedder, chat
