"""Archives in a PACS: a DICOMweb search, judged by the filter of the site, and retrieval of one instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...server.config import ServerConfig
from ...server.pacs.client import PacsClient
from ...server.pacs.instances import InstanceUids
from ...server.pacs.listing import Listing
from ...server.pacs.settings import PacsSettings, pacs_settings
from .entries import Entry

PREFIX = "dicomweb:"
"""What the address of a PACS begins with, so that it is not taken for the URL of an image."""


def settings_of(root: str, image_filter: Path | None = None, ca: Path | None = None) -> PacsSettings:
    """The settings of the connection; the login is taken from the environment, as docs/PACS.md says.

    Args:
        root: address after ``dicomweb:``.
        image_filter: YAML file; ``None`` for the default filter.
        ca: file with the certificates of the authorities to trust; ``None`` for the system's.

    Raises:
        ValueError: the address, the filter or the login is not usable.
    """
    config = ServerConfig(dicomweb_filter=image_filter, dicomweb_ca=ca)
    return pacs_settings(root.removeprefix(PREFIX), config)


class PacsArchive:
    """All instances of a PACS that pass the filter, in order of their UIDs.

    Args:
        root: address after ``dicomweb:``.
        settings: of the connection.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, root: str, settings: PacsSettings) -> None:
        self.root, self._settings = root, settings

    def entries(self) -> Iterator[Entry]:
        """An entry per instance.

        Raises:
            PacsError: the PACS does not answer as it should.
        """
        client = PacsClient(self._settings)
        try:
            pages = Listing(client, self._settings.image_filter).pages()
            found = {judged.instance.uids for page in pages for judged in page if judged.reason is None}
        finally:
            client.close()
        yield from (Entry(index, path_of(uids)) for index, uids in enumerate(sorted(found)))


def path_of(uids: InstanceUids) -> str:
    """The path of an instance below the address of its PACS."""
    return f"studies/{uids.study}/series/{uids.series}/instances/{uids.instance}"


def uids_of(path: str) -> InstanceUids:
    """The UIDs in ``path_of``.

    Raises:
        ValueError: it is no such path.
    """
    parts = path.split("/")
    if len(parts) != 6 or parts[::2] != ["studies", "series", "instances"]:
        raise ValueError("this is no path of an instance, studies/…/series/…/instances/…")
    return InstanceUids(*parts[1::2])
