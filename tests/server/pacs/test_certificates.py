"""A PACS behind TLS, with a certificate of a private authority, which is trusted where that authority is named."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.local_orthanc import LocalOrthanc
from lib.server.config import parse_conf
from lib.server.pacs.client import PacsClient, PacsError
from lib.server.pacs.pacs_images import open_pacs_store
from lib.server.pacs.reports.report_worker import ReportWorker
from lib.server.pacs.settings import pacs_settings
from lib.server.pacs.viewer.viewer_app import viewer_app
from lib.server.pacs.watcher import PacsWatcher
from setup_environment import ROOT

from .conftest import Pacs, radiograph
from .fault_proxy import fault_proxy
from .viewer.conftest import Viewer, build, served  # noqa: F401  # the fixture

HERE, OTHER = "127.0.0.1", "192.0.2.7"


@dataclass
class Authority:
    """A certificate authority of one hospital.

    Attributes:
        folder: of the files.
        ca: the file that is given to clients.
    """

    folder: Path

    def __post_init__(self) -> None:
        self._key, self.ca = ec.generate_private_key(ec.SECP256R1()), self.folder / "ca.pem"
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hospital CA")])
        certificate = self._certificate(self._name, self._key.public_key(), 1, x509.BasicConstraints(True, None))
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _certificate(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int, extension: x509.ExtensionType
    ) -> x509.Certificate:
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        new = x509.CertificateBuilder(self._name, name, key, x509.random_serial_number())
        new = new.not_valid_before(end - datetime.timedelta(days=2)).not_valid_after(end)
        return new.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())

    def server(self, address: str = HERE, days: int = 1) -> ssl.SSLContext:
        """TLS of a server with a certificate for an address, valid for some days more."""
        key, file = ec.generate_private_key(ec.SECP256R1()), self.folder / f"{address}{days}.pem"
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._certificate(x509.Name([]), key.public_key(), days, names)
        encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(encoding, private, serialization.NoEncryption())
        file.write_bytes(secret + certificate.public_bytes(encoding))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure(orthanc: LocalOrthanc, hospital: Authority) -> Iterator[Pacs]:
    """An Orthanc behind a proxy that speaks TLS."""
    with fault_proxy(orthanc.url, hospital.server()) as proxy:
        yield Pacs(orthanc, proxy)


def test_the_given_authority_is_trusted_by_every_client(
    secure: Pacs,
    hospital: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    build: Path,  # noqa: F811
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Path(ssl.get_default_verify_paths().openssl_cafile).read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))  # such as for a proxy of the site
    header = radiograph()
    secure.store(header)
    settings = secure.settings(tmp_path / "work", ca=hospital.ca)
    store, source = open_pacs_store(settings)
    with contextlib.closing(store):
        PacsWatcher(source, store, settings).catch_up()
        (image,) = store.list_images()
        assert Path(store.get_image_uri(image)).stat().st_size > 0
        worker = ReportWorker(source, store, settings)
        worker.catch_up()
        assert worker.status()["last_error"] is None
    with (
        contextlib.closing(PacsClient(settings)) as client,
        served(viewer_app(build, client, settings.url, None)) as at,
    ):
        status, _, body = Viewer(at).ask("/dicom-web/studies")
    assert (status, str(header.StudyInstanceUID).encode() in body) == (200, True)


@pytest.mark.parametrize(
    ("address", "days", "names_ca", "said"),
    [
        (HERE, 1, False, "is not trusted: name that of its CA with --conf dicomweb_ca"),
        (HERE, -1, True, "has expired, or is not yet valid by the clock of this machine"),
        (OTHER, 1, True, "is that of another host: use a name that it was issued for"),
    ],
)
def test_other_certificates_are_refused_with_a_sentence(
    hospital: Authority, tmp_path: Path, no_waiting: None, address: str, days: int, names_ca: bool, said: str
) -> None:
    with fault_proxy("http://127.0.0.1:9/rs", hospital.server(address, days)) as proxy:
        conf = {"dicomweb_folder": str(tmp_path), **({"dicomweb_ca": str(hospital.ca)} if names_ca else {})}
        client = PacsClient(pacs_settings(proxy.url, parse_conf(conf)))
        with pytest.raises(PacsError, match=f"the certificate of the PACS at [0-9.:]+ {said}"):
            client.ping()
        assert proxy.paths == []


def test_a_server_without_tls_is_told(tmp_path: Path, no_waiting: None) -> None:
    with fault_proxy("http://127.0.0.1:9/rs") as proxy:
        client = PacsClient(pacs_settings(proxy.url.replace("http", "https"), parse_conf({})))
        with pytest.raises(PacsError, match="does not speak TLS as it should: check the address and its port"):
            client.ping()


def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "ca.txt"
    empty.write_text("no certificate")
    with pytest.raises(ValueError, match=r"--conf dicomweb_ca ca\.txt holds no certificate: expected a file in PEM"):
        pacs_settings("https://pacs.example/dicom-web", parse_conf({"dicomweb_ca": str(empty)}))


@pytest.mark.integration
def test_the_command_line_takes_the_authority(secure: Pacs, hospital: Authority) -> None:
    env = {"VERTEBRA_DICOMWEB_USER": secure.server.user, "VERTEBRA_DICOMWEB_PASSWORD": secure.server.password}
    command = [sys.executable, "scripts/pacs.py", "list", secure.proxy.url, "--conf", "dicomweb_ca", str(hospital.ca)]
    for arguments, status in ((command, 0), (command[:-3], 2)):
        done = subprocess.run(arguments, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == status, done.stderr
    assert "is not trusted" in done.stderr
