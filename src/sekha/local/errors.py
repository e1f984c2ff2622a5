"""The error of the local Sekha."""

from __future__ import annotations

from sekha._utils.public import exported_from
from sekha.errors import SekhaError


@exported_from("sekha.local.server")  # where version 0.2 has it, which must read our pickles
class LocalSekhaError(SekhaError):
    """The local Sekha could not be started or stopped; the message says why."""
