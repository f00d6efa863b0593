"""The server's address as people write it."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

from .errors import ADDRESS, ServerError

_EXAMPLE = "Write it like http://127.0.0.1:8000."


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        is_tls: https rather than http.
        host: name or IP address, without brackets.
        port: number.
        path: what stands before every route, "" or beginning with a slash.
    """

    is_tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address; without a scheme it is http, without a port the scheme's own.

        Raises:
            ServerError: ADDRESS, it is none.
        """
        written = text.strip()
        if not written:
            raise ServerError(ADDRESS, f"Enter the address of the server. {_EXAMPLE}")
        if "://" not in written:
            written = f"http://{written}"
        try:
            parts = urllib.parse.urlsplit(written)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ServerError(ADDRESS, f"“{text.strip():.80}” is no address. {_EXAMPLE}", str(error)) from error
        if parts.scheme not in ("http", "https"):
            sentence = f"The address must begin with http:// or https://, not {parts.scheme:.20}://. {_EXAMPLE}"
            raise ServerError(ADDRESS, sentence)
        is_plain = written.isprintable() and not any(c.isspace() for c in written)
        if not host or not is_plain or parts.query or parts.fragment or parts.username is not None or port == 0:
            raise ServerError(ADDRESS, f"“{text.strip():.80}” is no address of a server. {_EXAMPLE}")
        try:
            host = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ServerError(ADDRESS, f"“{host:.80}” is no name of a computer. {_EXAMPLE}") from error
        is_tls = parts.scheme == "https"
        path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%")
        return cls(is_tls, host, port or (443 if is_tls else 80), path)

    @property
    def shown(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        """The same for however it was written, to tell servers apart."""
        return f"{'https' if self.is_tls else 'http'}://{self.shown}{self.path}"
