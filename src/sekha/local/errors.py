"""The error of the local Sekha."""

from __future__ import annotations

from sekha.errors import SekhaError


class LocalSekhaError(SekhaError):
    """The local Sekha could not be started or stopped; the message says why."""
