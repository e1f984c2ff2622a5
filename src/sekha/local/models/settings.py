"""Settings of the models: models on servers, or the built-in ones."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Tuple

from sekha._utils.redaction import Secret
from sekha.local.models import ChatModel, Embedder
from sekha.local.models.addresses import Address, parse_address
from sekha.local.models.placeholder import ExtractiveModel, HashEmbedder


class ServerSettings(NamedTuple):
    """Settings of a model server.

    `name` is `llm` or `embeddings`, the prefix of the settings. Without a `model`, the server must have only one.
    """

    name: str
    address: Address
    model: Optional[str] = None
    key: Optional[Secret] = None

    @property
    def model_setting(self) -> str:
        """The setting for the model, as in messages."""
        return f"{self.name}_model (--{self.name}-model)"

    @property
    def key_setting(self) -> str:
        """The environment variable of the key."""
        return f"SEKHA_{self.name.upper()}_KEY"


class ModelSettings(NamedTuple):
    """Settings of both models; without a server, a built-in model is used."""

    llm: Optional[ServerSettings] = None
    embeddings: Optional[ServerSettings] = None
    query_prefix: str = ""
    passage_prefix: str = ""


def server_settings(
    name: str, url: Optional[str], model: Optional[str] = None, key: Optional[str] = None
) -> Optional[ServerSettings]:
    """Return the settings of a server; None without a URL.

    Raises:
        ValueError: The URL, the model or the key is not valid.
    """
    if not url:
        if model is not None:
            raise ValueError(f"{name}_model requires {name}_url")
        return None
    if model is not None and not model.strip():
        raise ValueError(f"{name}_model must not be blank")
    if key and not re.fullmatch("[!-~]+", key):
        raise ValueError(f"{name}_key must consist of ASCII characters without spaces")
    return ServerSettings(name, parse_address(url), model, Secret(key, f"{name}_key") if key else None)


def make_models(settings: ModelSettings) -> Tuple[Embedder, ChatModel]:
    """Return the models for these settings.

    Raises:
        SekhaConfigError: A proxy of the environment is not valid.
    """
    embedder: Embedder = HashEmbedder()
    chat: ChatModel = ExtractiveModel()
    if settings.embeddings is not None:  # slow to import, and only needed for servers
        from sekha.local.models.embeddings import RemoteEmbedder

        embedder = RemoteEmbedder(settings.embeddings, settings.query_prefix, settings.passage_prefix)
    if settings.llm is not None:
        from sekha.local.models.chat import RemoteChat

        chat = RemoteChat(settings.llm)
    return embedder, chat
