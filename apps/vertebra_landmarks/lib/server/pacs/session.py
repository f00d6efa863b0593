"""The HTTP session with a PACS: login, certificates, timeouts and repetition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.util.retry import Retry

from .settings import PacsSettings

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 30.0
MAX_RETRIES, BACKOFF_S = 3, 0.3
"""Failed requests are repeated after 0, 0.6 and 1.2 seconds where the PACS fails or cannot be reached."""
RETRIED = (429, 500, 502, 503, 504)
_EXPIRED, _OTHER_HOST = (10, 9), (62, 64)
"""Verify codes of OpenSSL: expired or not yet valid; issued for another name or address."""


def new_session(settings: PacsSettings) -> requests.Session:
    """A session with the login."""
    retries = Retry(
        total=MAX_RETRIES,
        connect=1,
        read=1,
        backoff_factor=BACKOFF_S,
        status_forcelist=RETRIED,
        allowed_methods=("GET", "HEAD"),
        raise_on_status=False,
        respect_retry_after_header=False,  # a server may name hours
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _PacsAdapter(settings.ca, max_retries=retries))
    if settings.user is not None and settings.password is not None:
        session.auth = HTTPBasicAuth(settings.user.encode(), settings.password.encode())
    if settings.token is not None:
        session.headers["Authorization"] = f"Bearer {settings.token}"
    return session


def why_no_tls(error: requests.exceptions.SSLError, host: str) -> str:
    """Why an encrypted connection failed, as a sentence.

    Args:
        error: of the session.
        host: of the PACS, as named in sentences.
    """
    code = next((code for cause in _causes(error) if (code := getattr(cause, "verify_code", None)) is not None), None)
    if code is None:
        return f"the server at {host} does not speak TLS as it should: check the address and its port"
    if code in _EXPIRED:
        return f"the certificate of the PACS at {host} has expired, or is not yet valid by the clock of this machine"
    if code in _OTHER_HOST:
        return f"the certificate of the PACS at {host} is that of another host: use a name that it was issued for"
    return f"the certificate of the PACS at {host} is not trusted: name that of its CA with --conf dicomweb_ca"


def _causes(error: BaseException) -> list[BaseException]:
    """An error with those that it was made of, which libraries keep as arguments or reasons."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return found


class _PacsAdapter(HTTPAdapter):
    """Lets no request wait forever, and trusts the given authorities whatever the environment says."""

    def __init__(self, ca: Path | None, **options: Any) -> None:
        self._ca = ca
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request; see ``HTTPAdapter.send``."""
        if options.get("timeout") is None:
            options["timeout"] = CONNECT_TIMEOUT_S, READ_TIMEOUT_S
        if self._ca is not None:  # a session would prefer REQUESTS_CA_BUNDLE
            options["verify"] = str(self._ca)
        return super().send(request, *arguments, **options)
