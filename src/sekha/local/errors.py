"""The error of the local server."""

from __future__ import annotations

from sekha._utils.public import exported_from
from sekha.errors import SekhaError


@exported_from("sekha.local.server")  # the module in version 0.2, which must be able to read pickles of this version
class LocalSekhaError(SekhaError):
    """The local server could not be started or stopped; the message has the reason."""
