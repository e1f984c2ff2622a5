"""Certificates that are made while the tests run."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Sequence

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


class Certificates:
    """
    An authority that nobody knows, a certificate for this machine, and one for a client.

    Args:
        folder: Where the files go that settings name.

    Attributes:
        folder: The same.
        ca: Path of the authority's certificate.
        client: Paths of the client's certificate and of its key.
        both: Path of a file with the two.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        self.client = (str(folder / "client.pem"), str(folder / "client.key"))
        self.both = str(folder / "both.pem")
        self.renew()

    def renew(self) -> None:
        """Write other certificates to the same files, of an authority that is new as well."""
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.ca)
        issued = self._authority.issue_cert("client@sekha.test")
        issued.private_key_and_cert_chain_pem.write_to_path(self.both)
        issued.private_key_pem.write_to_path(self.client[1])
        for position, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(self.client[0], append=position > 0)

    def encrypted_key(self, password: str) -> str:
        """Path of the key of the client's certificate, encrypted."""
        key = load_pem_private_key(Path(self.client[1]).read_bytes(), None)
        form = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
        path = self.folder / "encrypted.key"
        path.write_bytes(key.private_bytes(*form))
        return str(path)

    def write_server(self, file: str, name: str = "127.0.0.1") -> str:
        """Path of a file with the certificate and the key of a server of that name, as programs read them."""
        path = str(self.folder / file)
        self._authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def server(
        self, name: str = "127.0.0.1", *, asks_for_client: bool = False, protocols: Sequence[str] = ()
    ) -> ssl.SSLContext:
        """What a server of that name needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        if protocols:
            context.set_alpn_protocols(protocols)
        if asks_for_client:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
