"""The studies folder as MONAI Label sees it: which files are images and which are labels."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from ..learning.inputs import OVERLAY_SUFFIX
from ..learning.reading import IMAGE_SUFFIXES, is_image_name
from ..spine.files import replacing
from ..spine.markups import SUFFIX
from .names import check_image_id, check_tag, is_inside

logger = logging.getLogger(__name__)

MOST_FACTS = 100_000
"""Characters of JSON that may be noted about one image or label."""
MOST_TAGS = 100
"""Different label tags of one image."""

Method = TypeVar("Method", bound=Callable[..., Any])


def _alone(method: Method) -> Method:
    """A method that only one thread at a time is in."""

    @wraps(method)
    def call(self: StudiesDatastore, *arguments: Any, **named: Any) -> Any:
        with self._mutex:
            return method(self, *arguments, **named)

    return call  # type: ignore[return-value]


class StudiesDatastore(LocalDatastore):
    """A folder of radiographs in every format that can be read; labels are ``.mrk.json`` files.

    MONAI Label has one list of file names for images and labels, tells upper from lower case, and silently keeps one
    of two images that differ in their extension only. Here ``.Png`` is an image, a Markups file or an overlay beside
    the radiographs is not, and images that cannot be served since another has their id are in ``status()``.

    Nothing outside the folder is read or written: names must be plain, and links that lead out of it are passed over.
    Threads and processes that change the folder at once wait for each other, and each file is written as a whole.
    """

    _datastore: Any
    _config_ts: float

    def __init__(self, folder: str, auto_reload: bool, read_only: bool) -> None:
        self._mutex = threading.RLock()
        self._folder = Path(folder)
        self._not_served: list[str] = []
        suffixes = [*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES), SUFFIX]
        patterns = [f"*{suffix}" for suffix in suffixes]
        super().__init__(folder, extensions=patterns, auto_reload=auto_reload, read_only=read_only)
        if auto_reload:
            self._handler.on_moved = self._on_moved  # how other processes' files arrive, see `replacing`

    def _to_id(self, file: str) -> tuple[str, str]:
        """Id and extension of a file name, which make up the name again."""
        fitting = [suffix for suffix in (SUFFIX, *IMAGE_SUFFIXES) if file.lower().endswith(suffix)]
        length = max(map(len, fitting), default=len(Path(file).suffix))
        return file[: len(file) - length], file[len(file) - length :]

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        """The images of the images' folder or the labels of another, each name under itself."""
        folder = Path(path)
        if folder.resolve() != self._folder.resolve():
            if not is_inside(folder, self._folder):
                return {}
            return {file.name: file.name for file in self._files(folder) if file.name.lower().endswith(SUFFIX)}
        by_id: dict[str, str] = {}
        not_served = []
        for file in self._files(folder):
            if not is_image_name(file) or file.name.endswith(OVERLAY_SUFFIX):
                continue
            kept = by_id.setdefault(self._to_id(file.name)[0], file.name)
            if kept != file.name:
                not_served.append(file.name)
        if not_served and not_served != self._not_served:
            logger.warning("%d images are not served, see not_served in /info/", len(not_served))
        self._not_served = not_served
        return {name: name for name in by_id.values()}

    def _files(self, folder: Path) -> list[Path]:
        """The files of a folder that are not hidden and lie in the studies folder, whatever links lead to them."""
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".")]
        return [file for file in files if not file.is_symlink() or is_inside(file, self._folder)]

    @_alone
    def status(self) -> dict[str, Any]:
        """How many images and labels there are, and which images have the id of another."""
        return {**super().status(), "not_served": self._not_served}

    json = _alone(LocalDatastore.json)
    datalist = _alone(LocalDatastore.datalist)
    list_images = _alone(LocalDatastore.list_images)
    get_labeled_images = _alone(LocalDatastore.get_labeled_images)
    get_unlabeled_images = _alone(LocalDatastore.get_unlabeled_images)
    get_labels_by_image_id = _alone(LocalDatastore.get_labels_by_image_id)
    get_image_info = _alone(LocalDatastore.get_image_info)
    get_label_info = _alone(LocalDatastore.get_label_info)
    refresh = _alone(LocalDatastore.refresh)
    _init_from_datastore_file = _alone(LocalDatastore._init_from_datastore_file)

    @_alone
    def get_image_uri(self, image_id: str) -> str:
        """Path of an image; "" if there is none of that id in the folder."""
        return self._if_inside(super().get_image_uri(image_id))

    @_alone
    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of a label; "" if the image has none of that tag in the folder."""
        return self._if_inside(super().get_label_uri(label_id, label_tag))

    def _if_inside(self, path: str) -> str:
        return path if path and Path(path).is_file() and is_inside(Path(path), self._folder) else ""

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Move a file into the folder under a new id.

        Raises:
            ValueError: the id is no plain name.
            FileExistsError: there is an image of that id, or a file of that name.
        """
        suffix = self._to_id(Path(image_filename).name)[1]
        name = check_image_id(image_id) + suffix
        if self._to_id(name) != (image_id, suffix) or name.endswith(OVERLAY_SUFFIX):
            raise ValueError(f"image id {image_id!r:.80} with {suffix} is not the name of an image")
        place = self._folder / name
        with self._changing():
            taken = {other.casefold() for other in self._datastore.objects}
            if image_id.casefold() in taken or place.is_symlink() or place.exists():
                raise FileExistsError(f"there is an image {image_id!r:.80} already; remove it first, or use another id")
            Path(image_filename).replace(place)
            facts = {**image_info, "ts": int(time.time()), "name": name}
            self._datastore.objects[image_id] = ImageLabelModel(image=DataModel(info=facts, ext=suffix))
        return image_id

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Keep a copy of a Markups file as the label of an image, in place of one with the same tag.

        Raises:
            ValueError: the tag is no plain name, or too much is noted about the label.
            ImageNotFoundException: there is no such image.
        """
        tag = check_tag(str(getattr(label_tag, "value", label_tag)))
        folder = self._folder / "labels" / tag
        with self._changing():
            known = self._image(image_id)
            if tag not in known.labels and len(known.labels) >= MOST_TAGS:
                raise ValueError(f"an image may have labels of {MOST_TAGS} tags at most")
            folder.mkdir(parents=True, exist_ok=True)
            if not is_inside(folder, self._folder):
                raise ValueError(f"labels {tag!r} lie outside the studies folder")
            name = f"{image_id}{SUFFIX}"
            facts = _bounded({**label_info, "ts": int(time.time()), "name": name})
            with replacing(folder / name) as temporary:
                shutil.copyfile(label_filename, temporary)
            known.labels[tag] = DataModel(info=facts, ext=SUFFIX)
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Remove an image and its labels.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._changing():
            known = self._image(image_id)
            for tag, label in known.labels.items():
                self._unlink(self._folder / "labels" / tag / f"{image_id}{label.ext}")
            self._unlink(self._folder / f"{image_id}{known.image.ext}")
            del self._datastore.objects[image_id]

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        with self._changing():
            label = self._label(label_id, label_tag)
            self._unlink(self._folder / "labels" / label_tag / f"{label_id}{label.ext}")
            del self._datastore.objects[label_id].labels[label_tag]

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Note facts about an image.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: too much is noted about it.
        """
        with self._changing():
            known = self._image(image_id)
            known.image.info = _bounded({**known.image.info, **info})

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Note facts about a label.

        Raises:
            LabelNotFoundException: there is no such label.
            ValueError: too much is noted about it.
        """
        with self._changing():
            label = self._label(label_id, label_tag)
            label.info = _bounded({**label.info, **info})

    def _image(self, image_id: str) -> ImageLabelModel:
        known = self._datastore.objects.get(image_id)
        if known is None:
            raise ImageNotFoundException(f"there is no image {image_id!r:.80} in the studies folder")
        return known

    def _label(self, image_id: str, tag: str) -> DataModel:
        label = self._datastore.label(image_id, tag)
        if label is None:
            raise LabelNotFoundException(f"image {image_id!r:.80} has no label {tag!r:.80}")
        return label

    def _unlink(self, path: Path) -> None:
        """Remove a file, or the link that stands for it, if its folder is ours."""
        if path.parent.resolve() == self._folder.resolve() or is_inside(path.parent, self._folder):
            path.unlink(missing_ok=True)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read what other processes wrote, change it, and write it, while they wait."""
        with self._mutex, FileLock(self._lock_file):
            self._read()
            yield
            self._update_datastore_file(lock=False)

    def _read(self) -> None:
        """``_init_from_datastore_file`` for who holds the lock already."""
        path = Path(self._datastore_config_path)
        written = path.stat().st_mtime if path.exists() else self._config_ts
        if written != self._config_ts:
            self._datastore = type(self._datastore).model_validate_json(path.read_text(encoding="utf-8"))
            self._datastore.base_path = self._datastore_path
            self._config_ts = written

    @_alone
    def _update_datastore_file(self, lock: bool = True) -> None:
        if lock:
            with FileLock(self._lock_file):
                return self._update_datastore_file(lock=False)
        path = Path(self._datastore_config_path)
        content = self._datastore.model_dump(exclude={"base_path"})
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")
        self._config_ts = path.stat().st_mtime
        return None

    def _on_moved(self, event: Any) -> None:
        """A file came by renaming: read the list again unless this process wrote it and knows already."""
        with self._mutex:
            path = Path(self._datastore_config_path)
            if Path(event.dest_path) == path and path.exists() and path.stat().st_mtime == self._config_ts:
                return
        if not self._is_known(Path(event.dest_path)):
            self.refresh()

    def _is_known(self, path: Path) -> bool:
        known = self._datastore.objects.get(self._to_id(path.name)[0])
        if known is None:
            return False
        return path.parent == self._folder or path.parent.name in known.labels


def _bounded(facts: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(facts, default=str)) > MOST_FACTS:
        raise ValueError(f"at most {MOST_FACTS:,} characters are noted about one image or label")
    return facts
