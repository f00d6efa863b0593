"""The connection to a PACS by DICOMweb: searches, retrieval, and errors as sentences that name no patient."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.api import DICOMwebClient
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.util.retry import Retry

from ...image_io.dicom.pixels import READABLE_SYNTAXES
from ..store.store_context import ImageUnavailableError
from .instances import InstanceUids
from .part10 import content_of, transfer_syntax
from .settings import PASSWORD, TOKEN, USER, PacsSettings

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 30.0
MAX_RETRIES, BACKOFF_S = 3, 0.3
"""Failed requests are repeated after 0, 0.6 and 1.2 seconds where the PACS fails or cannot be reached."""
RETRIED = (429, 500, 502, 503, 504)
_EXPIRED, _OTHER_HOST = (10, 9), (62, 64)
"""Verify codes of OpenSSL: expired or not yet valid; issued for another name or address."""
FAIL_FAST_S = 5.0
"""After the PACS could not be reached, requests fail at once for this time, so that no others wait for it."""
PAGE = 500
"""Results of one search request."""
MAX_INSTANCE_BYTES = 1_000_000_000
_CHUNK_BYTES = 1_000_000
_MULTIPART = 'multipart/related; type="application/dicom"'
_ACCEPTED = (
    f"{_MULTIPART}; transfer-syntax=*",  # as stored: nothing is transcoded, and least is sent
    f"{_MULTIPART}; transfer-syntax=1.2.840.10008.1.2.1",  # uncompressed
    _MULTIPART,
)
"""Transfer syntaxes that are asked for, one after the other."""
_NOT_ACCEPTABLE = (400, 406, 415, 501)


class PacsError(ImageUnavailableError):
    """The PACS does not do what it was asked for; the message is a sentence that names neither patient nor image."""


class GoneError(PacsError):
    """The PACS says that there is no such instance."""


class PacsClient:
    """A DICOMweb client with login, timeouts and repetition; safe for use by several threads.

    Attributes:
        dicomweb: the client underneath, for transactions that are not here; use it within ``speaking``.
        failure: why the PACS cannot be used at present, as a sentence; ``None`` while it can.

    Args:
        settings: of the connection.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self._settings = settings
        self._session = _session(settings)
        self.dicomweb = DICOMwebClient(settings.url, self._session, permissive_uid=True)
        self.dicomweb.set_http_retry_params(retry=False)  # the session repeats
        self.failure: str | None = None
        self._retry_at = 0.0
        for name in ("dicomweb_client", "urllib3", "retrying"):  # they log UIDs
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    @contextmanager
    def speaking(self, is_about_one: bool = False) -> Iterator[None]:
        """Context of a DICOMweb request: its errors become sentences, and are noted in ``failure`` until one succeeds.

        Args:
            is_about_one: the request is about one instance, so that a failure need not concern others.

        Raises:
            PacsError: the request failed, or the last one did a moment ago since the PACS cannot be reached.
        """
        with self._translated(is_about_one):
            yield
        self.failure = None

    @contextmanager
    def _translated(self, is_about_one: bool) -> Iterator[None]:
        if self.failure is not None and time.monotonic() < self._retry_at:
            raise PacsError(self.failure)
        try:
            yield
        except requests.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            if is_about_one and status in (404, 410):
                raise GoneError("the PACS does not have this image any more") from None
            raise self._failed(self._refusal(status), is_about_one and status not in (401, 403)) from None
        except PacsError:
            raise
        except requests.exceptions.JSONDecodeError:
            raise self._failed(self._no_dicom()) from None
        except (requests.RequestException, OSError) as error:
            self._retry_at = time.monotonic() + FAIL_FAST_S
            raise self._failed(self._unreachable(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError):  # what a parser says of another content
            raise self._failed(self._no_dicom(), is_about_one) from None

    def _failed(self, sentence: str, is_about_one: bool = False) -> PacsError:
        if not is_about_one:
            self.failure = sentence
        return PacsError(sentence)

    def _refusal(self, status: int) -> str:
        host = self._settings.host
        if status == 401:
            return f"the PACS at {host} refuses the login (401): check {USER} and {PASSWORD}, or {TOKEN}"
        if status == 403:
            return f"the PACS at {host} does not allow this login to read (403)"
        if status == 404:
            return f"there is no DICOMweb service at this address of {host} (404)"
        if status < 500 and status != 429:
            return f"the PACS at {host} does not accept the request ({status})"
        return f"the PACS at {host} failed ({status}); it is asked again"

    def _no_dicom(self) -> str:
        return f"the server at {self._settings.host} answers with what is not DICOM"

    def _unreachable(self, error: Exception) -> str:
        host = self._settings.host
        if isinstance(error, requests.exceptions.SSLError):
            return _why_no_tls(error, host)
        if isinstance(error, requests.Timeout):
            return f"the PACS at {host} does not answer in time; it is asked again"
        return f"the PACS at {host} cannot be reached; it is tried again"

    def search(self, filters: Mapping[str, str], fields: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """Search for instances, page by page.

        Args:
            filters: plain values by keyword; not all PACS understand wildcards and lists of values.
            fields: keywords of attributes that are wanted besides those that every PACS returns.

        Yields:
            Instances as DICOM JSON; none twice unless the PACS changes meanwhile.

        Raises:
            PacsError: the search failed.
        """
        offset, seen = 0, set[str]()
        while True:
            with self.speaking():
                page = self.dicomweb.search_for_instances(
                    search_filters=dict(filters), fields=list(fields), limit=PAGE, offset=offset or None
                )
                new = [one for one in page if _uid_of(one) not in seen]
            if not new:  # a PACS without paging returns the same again, in whatever order
                return
            yield new
            seen.update(map(_uid_of, new))
            offset += len(page)

    def ping(self) -> None:
        """Ask for one instance, to learn whether the PACS can be used.

        Raises:
            PacsError: it cannot.
        """
        with self.speaking():
            self.dicomweb.search_for_instances(search_filters={"Modality": "DX"}, limit=1)

    def is_there(self, uids: InstanceUids) -> bool:
        """Whether a search finds an instance.

        Raises:
            PacsError: the search failed.
        """
        with self.speaking():
            return bool(self.dicomweb.search_for_instances(search_filters={"SOPInstanceUID": uids.instance}, limit=1))

    def attributes(self, uids: InstanceUids) -> dict[str, Any]:
        """All attributes of an instance but its pixels, as DICOM JSON.

        Raises:
            GoneError: there is no such instance.
            PacsError: the request failed.
        """
        with self.speaking(is_about_one=True):
            return dict(self.dicomweb.retrieve_instance_metadata(*uids))

    def retrieve(self, uids: InstanceUids) -> bytes:
        """An instance as a DICOM file, in the transfer syntax that it is stored in where that can be decoded.

        Raises:
            GoneError: there is no such instance.
            PacsError: it could not be retrieved.
        """
        for accept in _ACCEPTED:
            with self.speaking(is_about_one=True):
                content = self._retrieved(uids, accept)
            if content is not None:
                return content
        raise PacsError(f"the PACS at {self._settings.host} offers this image in no transfer syntax that can be read")

    def _retrieved(self, uids: InstanceUids, accept: str) -> bytes | None:
        """The file; ``None`` where the PACS does not send it so, or in a transfer syntax that cannot be read."""
        url = f"{self._settings.url}/studies/{uids.study}/series/{uids.series}/instances/{uids.instance}"
        headers = {"Accept": accept, "Accept-Encoding": "identity"}  # Orthanc takes seconds to compress an image
        with self._session.get(url, headers=headers, stream=True) as answer:
            if answer.status_code in _NOT_ACCEPTABLE:
                return None
            answer.raise_for_status()
            body = bytearray()
            for chunk in answer.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_INSTANCE_BYTES:
                    raise PacsError(f"an image of more than {MAX_INSTANCE_BYTES // 10**6} MB is not retrieved")
            content = content_of(bytes(body), answer.headers.get("Content-Type", ""))
        return content if transfer_syntax(content, uids.instance) in READABLE_SYNTAXES else None

    def post(self, path: str, body: bytes, kind: str) -> tuple[int, Any]:
        """Post once, without repetition; returns the status, and the answer where it is JSON.

        Args:
            path: below the address of the service.
            body: of the request.
            kind: its content type.

        Raises:
            PacsError: the server cannot be reached, or does not answer in time.
        """
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        with self._translated(is_about_one=True):
            answer = self._session.post(f"{self._settings.url}/{path}", data=body, headers=headers)
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, None

    def forward(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> requests.Response:
        """Send the request of another DICOMweb client, with the login.

        Args:
            method: GET or POST.
            target: path and query below the address of the service, encoded.
            headers: of the request.
            body: of the request; ``None`` without one.

        Returns:
            The answer, whatever its status, with a body that is still to be read.

        Raises:
            PacsError: the PACS cannot be reached or refuses the login.
        """
        sent = {**headers, "Accept-Encoding": "identity"}
        with self.speaking(is_about_one=True):
            answer = self._session.request(
                method, self._settings.url + target, headers=sent, data=body, stream=True, allow_redirects=False
            )
            if answer.status_code in (401, 403):  # which would make a browser ask for a login
                with answer:
                    answer.raise_for_status()
        return answer

    def get_json(self, url: str) -> Any:
        """The answer of another interface of the same server; ``None`` where it is not there, or not for this login.

        It says nothing about DICOMweb, so that ``failure`` stays unless the server cannot be reached.

        Raises:
            PacsError: the server fails or cannot be reached.
        """
        with self._translated(is_about_one=True):
            answer = self._session.get(url, headers={"Accept": "application/json"})
            if answer.status_code in (400, 401, 403, 404, 405, 406, 410, 501):
                return None
            answer.raise_for_status()
            try:
                return answer.json()
            except ValueError:  # such as a page for people
                return None


def _uid_of(attributes: Mapping[str, Any]) -> str:
    return str(attributes["00080018"]["Value"][0])


def _session(settings: PacsSettings) -> requests.Session:
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


def _why_no_tls(error: requests.exceptions.SSLError, host: str) -> str:
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
