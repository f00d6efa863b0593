"""MONAI Label's datastore on a studies folder: a facade over the parts beside this file."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import ImageNotFoundException
from sqlalchemy.exc import DBAPIError

from .database import Database, kind_of
from .folder_adoption import adopt_files, fill_columns
from .folder_scan import FolderScan
from .folder_watcher import FolderWatcher
from .image_queries import ImageQueries, ScoreQueries
from .images import FINAL, ImageHeader, Images, StatedSide
from .label_sync import Claim
from .labels import CurrentLabel, Labels
from .schema import LABELLED, OPEN, UNREADABLE
from .store_context import ImageSource, ImageUnavailableError, StoreContext, check_database, note_database, open_context
from .studies_folder import FileState, StudiesFolder, id_of, remove_files, remove_temporary_files

DATABASE_FILE = "store.sqlite3"
CHUNK = 500
"""Images per chunk of the streamed list."""
MAX_MISSED = 10
"""Picked images with missing files, after which the whole folder is scanned."""
MAX_SINGLE = 50
"""Changed files that are reconciled one by one; of more, everything is scanned."""
PREFETCHED = 4
"""Images that are fetched ahead of the next picks, where images are fetched at all."""
PACS_FOLDER = "pacs"
"""In the app's folder of a studies folder whose images are in a PACS: what belongs to them."""


class ImagesFixedError(ValueError):
    """Images can be neither added nor removed here; its message is a sentence that says why."""


class StudiesDatastore(Datastore):
    """A folder of radiographs in every format that can be read; labels are ``.mrk.json`` files.

    Images and current labels are plain files, ``ID.png`` and ``labels/TAG/ID.mrk.json``. Their metadata and all label
    versions are in a database, which is authoritative: any number of threads, processes and servers may work on a
    folder at once. What was acknowledged is durable, every file is complete at any time, and nothing outside the folder
    is read or written. A folder that MONAI Label has served is taken over unchanged.

    ``.Png`` is an image, and so is a DICOM file of any name; Markups files and overlays beside the radiographs are not.
    ``status()`` lists what is not served, and why.

    The images may also be elsewhere, in an ``ImageSource``: then everything but them is in the folder.

    Methods raise ``ImageNotFoundException`` or ``LabelNotFoundException`` where there is no such image, label or
    version, ``ValueError`` for invalid names or content and metadata that is too long, and ``OSError`` where a file is
    missing or cannot be written, among them ``ImageUnavailableError`` where it cannot be fetched now.

    Attributes:
        on_prefetched: called with the id of each image that was fetched before somebody asks for it.

    Args:
        folder: the studies folder.
        database: URL of a PostgreSQL database or a SQLite file; ``None`` for a SQLite file in the folder.
        auto_reload: watch for files that others add, change or remove.
        read_only: do not scan the folder at the start.
        source: makes the source of the images for the opened folder; by default they are in the folder.
        rescan_s: seconds between two scans of the whole folder, see ``FolderWatcher``.

    Raises:
        ValueError: the folder is that of a PACS, whose address is needed to open it; the URL, the database or
            ``datastore_v2.json`` cannot be used, or the rows of the folder are in another database or belong to the
            folder that it was copied from.
        ConnectionError: the database cannot be reached, or is damaged.
    """

    def __init__(
        self,
        folder: str,
        database: str | None = None,
        auto_reload: bool = False,
        read_only: bool = False,
        source: Callable[[StoreContext], ImageSource] | None = None,
        rescan_s: float | None = None,
    ):
        self._rescan_s = rescan_s
        self._folder = StudiesFolder(Path(folder))
        if source is None and (self._folder.app_folder / PACS_FOLDER).exists():
            raise ValueError(
                f"{folder} holds the labels of images in a PACS: name the address of its DICOMweb service as the "
                "studies, and this folder with --conf dicomweb_folder"
            )
        file = self._folder.app_folder / DATABASE_FILE
        kind = kind_of(database, file)
        is_noted = check_database(self._folder, kind)
        self._database = Database(database, file)
        self._watcher: FolderWatcher | None = None
        self.on_prefetched: Callable[[str], object] = lambda _: None
        self._source: ImageSource = self._folder
        try:
            context = open_context(self._folder, self._database, is_noted)
            note_database(self._folder, kind)
            if source is not None:
                self._source = source(context)
            context = replace(context, source=self._source)
            self._open(context, auto_reload, read_only)
        except DBAPIError as error:
            self.close()
            raise self._database.failure(error) from error
        except BaseException:
            self.close()
            raise

    def _open(self, context: StoreContext, auto_reload: bool, read_only: bool) -> None:
        self.context = context
        adopt_files(context)
        fill_columns(context)
        self._images = Images(context)
        self._labels = Labels(context, self._images)
        self._queries = ImageQueries(context)
        self._scan = FolderScan(context, self._images, self._labels)
        self.score_queries = ScoreQueries(context)
        if auto_reload:
            self._watcher = FolderWatcher(self._folder, self._images, self._labels, self._scan, self._rescan_s)
        if not read_only:
            remove_temporary_files(self._folder)
            self._scan.run()

    def close(self) -> None:
        """Stop the watcher and close the source of the images and the database."""
        if self._watcher is not None:
            self._watcher.close()
        self._source.close()
        self._database.close()

    def name(self) -> str:
        """Name of the store."""
        return str(self._queries.head()["name"])

    def set_name(self, name: str) -> None:
        """Rename the store."""
        self._queries.describe(name=name)

    def description(self) -> str:
        """Description of the store."""
        return str(self._queries.head()["description"])

    def set_description(self, description: str) -> None:
        """Set the description of the store."""
        self._queries.describe(description=description)

    def datalist(self, shows: Callable[[str], bool] = lambda _: True) -> list[dict[str, Any]]:
        """Paths of image and label ``final`` of every labelled image, or of those whose ids are shown."""
        return self._queries.pairs(shows)

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Label ids of an image by tag."""
        return dict.fromkeys(self._labels.tags(image_id), image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Label id of an image and tag; "" if there is none."""
        return self.get_labels_by_image_id(image_id).get(_tag_text(tag), "")

    def get_image(self, image_id: str, params: Any = None) -> Any:
        """Content of an image as a stream; ``None`` if there is no such image."""
        uri = self.get_image_uri(image_id)
        return io.BytesIO(Path(uri).read_bytes()) if uri else None

    def get_image_uri(self, image_id: str) -> str:
        """Path of an image, which is fetched where necessary; "" if there is none of that id."""
        return self._images.uri(image_id)

    def has_image(self, image_id: str) -> bool:
        """Whether there is an image of that id; nothing is fetched."""
        return self._images.entry(image_id) is not None

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        """Content of the current label as a stream; ``None`` if there is no such label."""
        uri = self.get_label_uri(label_id, label_tag)
        return io.BytesIO(Path(uri).read_bytes()) if uri else None

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of the current label; "" if the image has none of that tag."""
        return self._labels.uri(label_id, _tag_text(label_tag))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Metadata of an image; empty if there is no such image."""
        return self._images.metadata(image_id)

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """Metadata of the current label; empty if there is no such label."""
        return self._labels.metadata(label_id, _tag_text(label_tag))

    def label_facts(self, tag: str) -> dict[str, dict[str, Any]]:
        """Metadata of the current labels of a tag, by image."""
        return self._queries.label_facts(tag)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Ids of the images with a label of the tag, by default ``final``."""
        return [row.id for row in self._queries.labelled(_tag_text(label_tag or FINAL))]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Ids of the readable images without a label of the tag, by default ``final``."""
        return self._queries.without_label(_tag_text(label_tag or FINAL))

    def list_images(self) -> list[str]:
        """Ids of all images."""
        return self._queries.ids(OPEN, LABELLED, UNREADABLE)

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Path of a new ZIP file of labelled images, their labels, and ``metadata.json``.

        Args:
            limit_cases: maximum number of images; ``None`` for all.

        Raises:
            ValueError: no image has a label.
        """
        labelled = self.get_labeled_images()[: limit_cases or None]
        if not labelled:
            raise ValueError("no image has a label, so there is nothing to put into an archive")
        with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file, zipfile.ZipFile(file, "w") as archive:
            for image in labelled:
                pair = {"image": self.get_image_uri(image), "label": self.get_label_uri(image, FINAL)}
                for kind, path in pair.items():
                    archive.write(path, f"{kind}/{Path(path).name}")
            archive.writestr("metadata.json", json.dumps(self.json()))
        return file.name

    def refresh(self) -> None:
        """Scan the whole folder."""
        self._scan.run()

    def files(self, image_ids: Collection[str]) -> list[str]:
        """File names of some images, in their order."""
        return self._queries.files(image_ids)

    def prefetch(self, upcoming: Callable[[], Collection[str]]) -> None:
        """Fetch images that will be asked for soon, in the background; ``upcoming`` returns their ids."""
        self._source.prefetch(upcoming, self._fetch_ahead)

    def _fetch_ahead(self, image: str) -> None:
        if self.get_image_uri(image):
            self.on_prefetched(image)

    def follow_gone(self, on_gone: Callable[[str], object]) -> None:
        """Call back, soon and with its id, where the file of an image has vanished."""
        self._images.on_gone = on_gone

    def note_changed(self, names: Collection[str]) -> None:
        """Reconcile images whose files have appeared in or vanished from the source."""
        if len(names) > MAX_SINGLE:
            self._scan.run()
            return
        for image in self._images.reconcile_files(names):
            for tag in self._folder.tags():
                self._labels.reconcile(image, tag)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Move a file into the folder under a new id, by default its name without the suffix.

        Labels of a missing image that had this id, but another file, are detached; their versions stay.

        Raises:
            ImagesFixedError: the images are those of a PACS.
            ValueError: the id is no plain name, or the metadata is too long.
            FileExistsError: there is an image of that id, or a file of that name.
            OSError: the file cannot be moved there.
        """
        self._check_not_fixed()
        file = Path(image_filename)
        image_id = image_id or id_of(file.name)
        with self._folder.lock(image_id):
            for gone in self._images.check_new(image_id, file):
                self._labels.detach(gone)  # they are of another image
            self._images.add(image_id, file, image_info or {})
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Remove an image with its labels and all their versions.

        Raises:
            ImagesFixedError: the images are those of a PACS.
        """
        self._check_not_fixed()
        with self._folder.lock(image_id):
            self._images.remove(image_id, self._folder.labels_of(image_id))
            remove_files(self._folder.versions_of(image_id))

    def _check_not_fixed(self) -> None:
        if self._source.why_fixed:
            raise ImagesFixedError(self._source.why_fixed)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Save a copy of a Markups file as the current label of an image."""
        self.save_label_content(image_id, _tag_text(label_tag), Path(label_filename).read_bytes(), label_info or {})
        return image_id

    def save_label_content(
        self,
        image_id: str,
        tag: str,
        content: bytes,
        info: dict[str, Any],
        base_version: int | None = None,
        claim: Claim | None = None,
    ) -> int:
        """Save a label and return the number of its version; see ``Labels.save``."""
        return self._labels.save(image_id, tag, content, info, base_version, claim)

    def read_label(self, image_id: str, tag: str) -> CurrentLabel:
        """Version, content and metadata of the current label."""
        return self._labels.read(image_id, tag)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label; its versions stay."""
        self._labels.remove(label_id, _tag_text(label_tag))

    def label_versions(self, image_id: str, tag: str) -> list[dict[str, Any]]:
        """All versions of a label, oldest first: ``version``, ``digest``, ``info`` and ``is_current``."""
        return self._labels.history(image_id, _tag_text(tag))

    def label_version(self, image_id: str, tag: str, version: int) -> bytes:
        """Content of a label version."""
        return self._labels.version(image_id, _tag_text(tag), version)[0]

    def read_label_version(self, image_id: str, tag: str, version: int) -> CurrentLabel:
        """A label version with its content and metadata, as ``read_label`` has the current one."""
        return CurrentLabel(version, *self._labels.version(image_id, _tag_text(tag), version))

    def restore_label(self, image_id: str, tag: str, version: int, info: dict[str, Any]) -> int:
        """Save a copy of a label version as the current one, and return its number."""
        return self._labels.restore(image_id, _tag_text(tag), version, info)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Merge values into the metadata of an image."""
        self._images.update_metadata(image_id, info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Merge values into the metadata of the current label."""
        self._labels.update_metadata(label_id, _tag_text(label_tag), info)

    def file_state(self, image_id: str) -> FileState:
        """Present size and mtime of an image file; (0, 0) if there is none. Nothing is fetched."""
        entry = self._images.entry(image_id)
        return (0, 0) if entry is None else (entry.size, entry.mtime_ns)

    def image_digest(self, image_id: str) -> str:
        """Digest of an image's present file, which tells images of one name apart.

        Raises:
            ImageNotFoundException: there is no image of that id.
            OSError: its file cannot be read.
        """
        uri = self.get_image_uri(image_id)
        if not uri:
            raise ImageNotFoundException(f"there is no image {image_id!r:.80} in the studies folder")
        return self._images.digest(Path(uri))

    def header(self, image_id: str) -> ImageHeader | None:
        """Size and geometry of an image; see ``Images.header``."""
        return self._images.header(image_id)

    def note_header(self, image_id: str, header: ImageHeader, file: FileState) -> None:
        """Note size and geometry of an image, see ``Images.note_header``, and measure its labels by that."""
        if self._images.note_header(image_id, header, file):
            self._labels.measure_again(image_id, header.geometry)

    def note_unreadable(self, image_id: str, reason: str, file: FileState) -> None:
        """Mark an image as unreadable until its file changes; ``file`` is its ``file_state`` before it was read."""
        self._images.note_unreadable(image_id, reason, file)

    def stated_side(self, image_id: str) -> StatedSide | None:
        """The patient's side as stated by a person; ``None`` where nobody has, or for another file."""
        return self._images.stated_side(image_id)

    def state_side(self, image_id: str, image_left_is: str | None, user: str) -> None:
        """Store the patient's side at the left of the upright image.

        Args:
            image_id: of the image.
            image_left_is: one of ``images.SIDES``; ``None`` withdraws the statement.
            user: who states it.
        """
        self._images.state_side(image_id, image_left_is, user)

    def pick_random(self, exclude: Collection[str] = ()) -> str | None:
        """A random unlabelled image; see ``ScoreQueries.pick_random``."""
        return self._existing(exclude, self.score_queries.pick_random, self.score_queries.next_random)

    def pick_first(self, exclude: Collection[str] = ()) -> str | None:
        """The first unlabelled image by id; ``None`` if there is none."""
        return self._existing(exclude, self.score_queries.pick_first, self.score_queries.next_first)

    def pick_by_score(self, strategy: str, model_version: str, exclude: Collection[str] = ()) -> str | None:
        """The unlabelled image with the highest score; see ``ScoreQueries.pick_by_score``."""
        by_score = partial(self.score_queries.next_by_score, strategy, model_version)
        return self._existing(exclude, lambda excluded: next(iter(by_score(excluded, 1)), None), by_score)

    def _existing(
        self,
        exclude: Collection[str],
        pick: Callable[[Collection[str]], str | None],
        upcoming: Callable[[Collection[str], int], list[str]],
    ) -> str | None:
        """A picked image whose file exists and can be read now; images found missing are marked.

        Args:
            exclude: ids to skip.
            pick: picks an image that is not among some.
            upcoming: the images that would be picked next, except some, and at most a number of them.

        Raises:
            ImageUnavailableError: there are images, or may be, but none can be fetched now.
        """
        if self._source.failure is not None:
            return self._at_hand(exclude, self._source.failure)
        image = self._picked(exclude, pick)
        if image is not None:
            taken = [*exclude, image]
            self.prefetch(lambda: upcoming(taken, PREFETCHED))
        return image

    def _at_hand(self, exclude: Collection[str], failure: str) -> str | None:
        """The first image that need not be fetched."""
        names, first = [id_of(name) for name in self._source.at_hand()], self.score_queries.next_first
        image = next(iter(first(exclude, 1, names)), None)
        if image is None and not first((), 1, names) and (first((), 1) or not self.list_images()):
            raise ImageUnavailableError(failure)
        return image

    def _picked(self, exclude: Collection[str], pick: Callable[[Collection[str]], str | None]) -> str | None:
        for _ in range(MAX_MISSED):
            image = pick(exclude)
            if image is None or self.has_image(image):
                return image
            self._images.reconcile_image(image)
        self._scan.run()  # many are missing, so others may be too
        return pick(exclude)

    def status(self) -> dict[str, Any]:
        """Numbers of images and labels, and what is not served as an image, with the reason."""
        return self._queries.status()

    def json(self) -> dict[str, Any]:
        """All images and labels, in the shape of MONAI Label's ``datastore_v2.json``."""
        return {**self._queries.head(), "objects": dict(self._queries.objects())}

    def json_pieces(self, shown: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None) -> Iterator[str]:
        """The same as chunks of JSON text, without holding all of it in memory.

        Args:
            shown: what is shown of an image, by its id and its entry; by default everything.
        """
        yield json.dumps(self._queries.head())[:-1] + ', "objects": {'
        objects, separator = self._queries.objects(), ""
        if shown is not None:
            objects = ((image, shown(image, entry)) for image, entry in objects)
        while chunk := dict(islice(objects, CHUNK)):
            yield separator + json.dumps(chunk)[1:-1]
            separator = ", "
        yield "}}"


def _tag_text(tag: str) -> str:
    """A tag as text; MONAI Label's own are enumeration members."""
    return str(getattr(tag, "value", tag))
