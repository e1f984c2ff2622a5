"""What is read of certificates, and how often (S7)."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from sekha._http.models import HTTPSettings, OtherProtocolError
from sekha._http.tls import _shared_context, context_for_pool, read_certificates, require_http11
from support.certificates import Certificates

URL = "https://sekha.test"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def settings(verify: Any = True, cert: Any = None, *, trust_env: bool = True) -> HTTPSettings:
    return HTTPSettings(verify, cert, None, trust_env, 1, None)


def context(*arguments: Any, **options: Any) -> Any:
    return read_certificates(settings(*arguments, **options), URL).verify


def test_a_file_that_changes_for_years_takes_no_memory(certificates: Certificates) -> None:
    for number in range(100):
        os.utime(certificates.ca, ns=(number, number))
        context(certificates.ca)
    found = _shared_context.cache_info()
    assert found.maxsize is not None
    assert found.currsize <= found.maxsize <= 100


@pytest.mark.promise("W5")
def test_time_size_or_another_file_of_the_same_name_is_a_change(certificates: Certificates) -> None:
    file = Path(certificates.ca)
    first = context(str(file))
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    second = context(str(file))
    file.write_text(file.read_text() + "\n")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    third = context(str(file))
    copy = file.with_name("copy.pem")
    copy.write_text(file.read_text())
    os.utime(copy, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    copy.replace(file)
    fourth = context(str(file))
    assert len({id(one) for one in (first, second, third, fourth)}) == 4
    assert context(str(file)) is fourth


@pytest.mark.promise("W5")
def test_a_link_to_another_file_is_a_change(certificates: Certificates, tmp_path: Path) -> None:
    link, other = tmp_path / "link.pem", tmp_path / "other.pem"
    other.write_text(Path(certificates.ca).read_text() * 2)
    link.symlink_to(certificates.ca)
    before = context(str(link))
    link.unlink()
    link.symlink_to(other)
    assert context(str(link)) is not before


def test_links_to_nowhere_in_a_folder_are_no_error(certificates: Certificates) -> None:
    (certificates.folder / "gone.0").symlink_to("nowhere")
    assert context(str(certificates.folder)) is context(str(certificates.folder))


@pytest.mark.promise("W5")
def test_the_variables_are_looked_up_for_each_client(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = context()
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
    assert context() is not usual
    assert context(trust_env=False) is usual
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(certificates.folder), "/nowhere"]))
    assert context() is not usual
    monkeypatch.setenv("SSL_CERT_DIR", "")
    assert context() is usual


def test_a_context_of_the_user_is_the_context() -> None:
    own = ssl.create_default_context()
    assert context(own) is own


@pytest.mark.parametrize("protocol", [None, "http/1.1", "http/1.0"])
def test_our_protocols_are_taken(protocol: Any) -> None:
    require_http11(protocol)


@pytest.mark.parametrize("protocol", ["h2", "h3", "spdy/3", ""])
def test_other_protocols_are_not(protocol: str) -> None:
    with pytest.raises(OtherProtocolError, match="the server chose the protocol"):
        require_http11(protocol)


@pytest.mark.promise("S7")
def test_what_was_read_is_kept_when_the_class_of_contexts_is_replaced(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As truststore, gevent and eventlet do it. The connections of a client are made later."""
    read = read_certificates(settings(certificates.ca), URL)
    monkeypatch.setattr(ssl, "SSLContext", type("SSLContext", (ssl.SSLContext,), {}))
    assert context_for_pool(read, URL) is read.verify
