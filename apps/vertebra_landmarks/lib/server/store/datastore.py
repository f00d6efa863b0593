"""The datastore of MONAI Label that the server works on; its parts stand beside this file."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from sqlalchemy.exc import DBAPIError

from ..stated_side import StatedSide
from .adopted_files import adopt_files
from .choosing import Choosing
from .database import Database, kind_of
from .folder import FileState, StudiesFolder, id_of, remove_files
from .holding import Holding, open_holding
from .images import FINAL, Images
from .labels import Labels
from .leftovers import remove_leftovers
from .listing import Listing
from .notes import check_database, note_database
from .scan import Scan
from .tables import LABELLED, OPEN, UNREADABLE
from .watch import Watch

DATABASE_FILE = "store.sqlite3"
PIECE = 500
"""Images that one piece of the list as JSON holds."""
MOST_MISSED = 10
"""Picked images whose files are gone, after which the whole folder is looked at."""


class StudiesDatastore(Datastore):
    """A folder of radiographs in every format that can be read; labels are ``.mrk.json`` files.

    Images and newest labels are plain files, ``ID.png`` and ``labels/TAG/ID.mrk.json``. What is known about them, and
    all versions of the labels, is in a database, which is the truth: any number of threads, processes and servers may
    work on a folder at once. What was acknowledged is not lost, every file is whole at any time, and nothing outside
    the folder is read or written. A folder that MONAI Label served before is taken over as it is.

    ``.Png`` is an image, and so is a DICOM file of any name; a Markups file or an overlay beside the radiographs is
    not. What is not served, and why, is in ``status()``.

    Args:
        folder: the studies folder.
        database: URL of a PostgreSQL database; ``None`` for a SQLite file in the folder.
        auto_reload: look at files that others add, change or remove while this process runs.
        read_only: do not compare the folder with the database at the start.

    Raises:
        ValueError: the URL is none of PostgreSQL, the database or ``datastore_v2.json`` cannot be used, or the rows of
            the folder are in another database or belong to the folder that it was copied from.
        ConnectionError: the database cannot be reached, or is damaged.
    """

    def __init__(self, folder: str, database: str | None = None, auto_reload: bool = False, read_only: bool = False):
        self._folder = StudiesFolder(Path(folder))
        file = self._folder.own / DATABASE_FILE
        kind = kind_of(database, file)
        is_known = check_database(self._folder, kind)
        self._database = Database(database, file)
        self._watch: Watch | None = None
        try:
            holding = open_holding(self._folder, self._database, is_known)
            note_database(self._folder, kind)
            self._open(holding, auto_reload, read_only)
        except DBAPIError as error:
            self.close()
            raise self._database.failure(error) from error
        except BaseException:
            self.close()
            raise

    def _open(self, holding: Holding, auto_reload: bool, read_only: bool) -> None:
        self.holding = holding
        adopt_files(holding)
        self._images = Images(holding)
        self._labels = Labels(holding, self._images)
        self._listing = Listing(holding)
        self._scan = Scan(holding, self._images, self._labels)
        self.choosing = Choosing(holding)
        if auto_reload:
            self._watch = Watch(self._folder, self._images, self._labels, self._scan)
        if not read_only:
            remove_leftovers(self._folder)
            self._scan.run()

    def close(self) -> None:
        """End the watch and close the database."""
        if self._watch is not None:
            self._watch.close()
        self._database.close()

    def name(self) -> str:
        """What the folder is called."""
        return str(self._listing.head()["name"])

    def set_name(self, name: str) -> None:
        """Call the folder something else."""
        self._listing.describe(name=name)

    def description(self) -> str:
        """What the folder holds."""
        return str(self._listing.head()["description"])

    def set_description(self, description: str) -> None:
        """Say what the folder holds."""
        self._listing.describe(description=description)

    def datalist(self) -> list[dict[str, Any]]:
        """Paths of image and label ``final`` of every labelled image."""
        return self._listing.pairs()

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Label ids of an image by tag."""
        return dict.fromkeys(self._labels.tags(image_id), image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Label id of an image and tag; "" if there is none."""
        return self.get_labels_by_image_id(image_id).get(_plain(tag), "")

    def get_image(self, image_id: str, params: Any = None) -> Any:
        """Content of an image as a stream; ``None`` if there is no such image."""
        uri = self.get_image_uri(image_id)
        return io.BytesIO(Path(uri).read_bytes()) if uri else None

    def get_image_uri(self, image_id: str) -> str:
        """Path of an image; "" if there is none of that id in the folder."""
        return self._images.uri(image_id)

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        """Content of the newest label as a stream; ``None`` if there is no such label."""
        uri = self.get_label_uri(label_id, label_tag)
        return io.BytesIO(Path(uri).read_bytes()) if uri else None

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of the newest label; "" if the image has none of that tag in the folder."""
        return self._labels.uri(label_id, _plain(label_tag))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What is noted about an image; nothing if there is no such image."""
        return self._images.facts(image_id)

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What is noted about the newest label; nothing if there is no such label."""
        return self._labels.facts(label_id, _plain(label_tag))

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Ids of the images that have a label of the tag, by default ``final``."""
        return [row.id for row in self._listing.labelled(_plain(label_tag or FINAL))]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Ids of the images that have no label of the tag, by default ``final``."""
        return self._listing.without_label(_plain(label_tag or FINAL))

    def list_images(self) -> list[str]:
        """Ids of all images."""
        return self._listing.ids(OPEN, LABELLED, UNREADABLE)

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Path of a new ZIP file with labelled images, their labels, and ``metadata.json``.

        Args:
            limit_cases: most images in it; ``None`` for all.

        Raises:
            ValueError: no image has a label.
        """
        pairs = self.datalist()[: limit_cases or None]
        if not pairs:
            raise ValueError("no image has a label, so there is nothing to put into an archive")
        with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file, zipfile.ZipFile(file, "w") as archive:
            for pair in pairs:
                for kind, path in pair.items():
                    archive.write(path, f"{kind}/{Path(path).name}")
            archive.writestr("metadata.json", json.dumps(self.json()))
        return file.name

    def refresh(self) -> None:
        """Compare the whole folder with the database."""
        self._scan.run()

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Move a file into the folder under a new id, by default its name without extension.

        Labels of an image that had this id, but whose file was another, are let go; their versions stay.

        Raises:
            ValueError: the id is no plain name, or too much is noted.
            FileExistsError: there is an image of that id, or a file of that name.
            OSError: the file cannot be moved there.
        """
        file = Path(image_filename)
        image_id = image_id or id_of(file.name)
        with self._folder.lock(image_id):
            for gone in self._images.check_new(image_id, file):
                self._labels.retire(gone)  # they are of another picture
            self._images.add(image_id, file, image_info or {})
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Remove an image with its labels and all their versions.

        Raises:
            ImageNotFoundException: there is no such image.
            OSError: its file cannot be removed; nothing else is then.
        """
        with self._folder.lock(image_id):
            self._images.remove(image_id, self._folder.labels_of(image_id))
            remove_files(self._folder.versions_of(image_id))

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Keep a copy of a Markups file as the newest label of an image.

        Raises:
            ValueError: the tag is no plain name, the file is no JSON object, or too much is noted about the label.
            ImageNotFoundException: there is no such image.
        """
        self._labels.save(image_id, _plain(label_tag), Path(label_filename).read_bytes(), label_info or {})
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label; its versions stay.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        self._labels.remove(label_id, _plain(label_tag))

    def label_versions(self, image_id: str, tag: str) -> list[dict[str, Any]]:
        """All versions of a label, oldest first: ``version``, ``digest``, ``info`` and ``is_current``."""
        return self._labels.history(image_id, _plain(tag))

    def label_version(self, image_id: str, tag: str, version: int) -> bytes:
        """What a version of a label says.

        Raises:
            ImageNotFoundException: there is no such image.
            LabelNotFoundException: there is no such version.
            OSError, ValueError: its file is missing or damaged.
        """
        return self._labels.version(image_id, _plain(tag), version)[0]

    def restore_label(self, image_id: str, tag: str, version: int, info: dict[str, Any]) -> int:
        """Save a version of a label once more as the newest, and return its new number.

        Raises:
            ImageNotFoundException: there is no such image.
            LabelNotFoundException: there is no such version.
            OSError, ValueError: its file is missing or damaged.
        """
        return self._labels.restore(image_id, _plain(tag), version, info)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Note facts about an image.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: too much is noted about it.
        """
        self._images.note(image_id, info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Note facts about the newest label.

        Raises:
            LabelNotFoundException: there is no such label.
            ValueError: too much is noted about it.
        """
        self._labels.note(label_id, _plain(label_tag), info)

    def file_state(self, image_id: str) -> FileState:
        """Size and time of an image's file as it is now; (0, 0) if there is none."""
        found = self._folder.look(Path(self.get_image_uri(image_id)))
        return (0, 0) if found is None else (found.size, found.mtime_ns)

    def note_unreadable(self, image_id: str, reason: str, file: FileState) -> None:
        """Remember that reading an image failed, so that it is not handed out until its file is another.

        Args:
            image_id: of the image.
            reason: in a sentence.
            file: its ``file_state`` before it was read.
        """
        self._images.note_unreadable(image_id, reason, file)

    def stated_side(self, image_id: str) -> StatedSide | None:
        """The patient's side that a person has stated of an image; ``None`` where nobody has, or of another file."""
        return self._images.stated_side(image_id)

    def state_side(self, image_id: str, image_left_is: str | None, user: str) -> None:
        """Note the patient's side at the left of the upright image, or that nobody knows it.

        Args:
            image_id: of the image.
            image_left_is: one of ``stated_side.SIDES``; ``None`` takes back what was stated.
            user: who says so.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: it is no side.
        """
        self._images.state_side(image_id, image_left_is, user)

    def pick_random(self, exclude: Collection[str] = (), unlabelled: bool = True) -> str | None:
        """An image at random, each one once before any comes again; see ``Choosing.pick_random``."""
        return self._there(lambda: self.choosing.pick_random(exclude, unlabelled))

    def pick_first(self, exclude: Collection[str] = (), unlabelled: bool = True) -> str | None:
        """The image that comes first in the order of the ids; ``None`` if there is none."""
        return self._there(lambda: self.choosing.pick_first(exclude, unlabelled))

    def pick_by_score(self, strategy: str, model_version: str, exclude: Collection[str] = ()) -> str | None:
        """The unlabelled image whose score is the highest; see ``Choosing.pick_by_score``."""
        return self._there(lambda: self.choosing.pick_by_score(strategy, model_version, exclude))

    def _there(self, pick: Callable[[], str | None]) -> str | None:
        """A picked image whose file is there; those that went unnoticed are passed over from now on."""
        for _ in range(MOST_MISSED):
            image = pick()
            if image is None or self.get_image_uri(image):
                return image
            self._images.look_again(image)
        self._scan.run()  # many are gone, so the others may be too
        return pick()

    def status(self) -> dict[str, Any]:
        """How many images and labels there are, and what in the folder is not served as an image, and why."""
        return self._listing.status()

    def json(self) -> dict[str, Any]:
        """Everything that is known, in the shape of MONAI Label's ``datastore_v2.json``."""
        return {**self._listing.head(), "objects": dict(self._listing.objects())}

    def json_pieces(self) -> Iterator[str]:
        """The same as JSON text in pieces, so that it need not be in memory as a whole."""
        yield json.dumps(self._listing.head())[:-1] + ', "objects": {'
        objects, separator = self._listing.objects(), ""
        while some := dict(islice(objects, PIECE)):
            yield separator + json.dumps(some)[1:-1]
            separator = ", "
        yield "}}"


def _plain(tag: str) -> str:
    """The text of a tag, which MONAI Label's own are enumerations of."""
    return str(getattr(tag, "value", tag))
