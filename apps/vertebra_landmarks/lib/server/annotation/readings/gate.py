"""What a user may see of labels: the one place through which every route asks, by the rule of ``lib/study/visibility``.

What is hidden is answered as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ....study.plan import StudyPlan
from ....study.slots import ImageReadings, Reading
from ....study.visibility import Part, Viewer, own_reading, part_of, reading_state, sees_labels, sees_model
from ...active_learning.prelabel_worker import is_of_person
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL, PREDICTED, REASON, STATED_SIDE
from ...store.label_sync import labeller

_IMAGE_FACTS = ("ts", "name", "path", REASON, "taken_on")
"""Metadata of an image that the server has noted itself."""
SKIPPED = "skipped"
"""In the report of a training: by image, why its label was not learnt from."""
Load = Callable[["Collection[str] | None"], Mapping[str, ImageReadings]]


class Gate:
    """What one user sees during one request.

    Args:
        store: the studies folder.
        plan: of the study; ``None`` without one, when nothing is hidden.
        viewer: the user.
        load: returns the readings of some images, or of all.
        now: seconds since 1970.
    """

    def __init__(
        self, store: StudiesDatastore, plan: StudyPlan | None, viewer: Viewer, load: Load, now: Callable[[], float]
    ) -> None:
        self._store, self.plan, self.viewer, self._load, self._now = store, plan, viewer, load, now
        self._known: dict[str, ImageReadings] = {}
        self._all: Mapping[str, ImageReadings] | None = None
        self._predicted: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing at all is hidden."""
        plan = self.plan
        return plan is None or self.viewer.sees_all

    def readings(self, image: str) -> ImageReadings:
        """The readings of an image."""
        if self._all is not None:
            return self._all.get(image, ImageReadings(image))
        if image not in self._known:
            self._known[image] = self._load([image]).get(image, ImageReadings(image))
        return self._known[image]

    def prepare(self, images: Collection[str] | None = None) -> None:
        """Load the readings of some images, or of all, at once."""
        if self.is_open:
            return
        if images is None:
            self._all = self._load(None)
            self._predicted = self._store.label_facts(PREDICTED)
        else:
            found = self._load(images)
            self._known.update({image: found.get(image, ImageReadings(image)) for image in images})

    def shows_labels(self, image: str) -> bool:
        """Whether everything that was made of an image is shown."""
        if self.plan is None or self.viewer.sees_all:
            return True
        return sees_labels(self.plan, self.viewer, self.readings(image))

    def shows_model(self, image: str) -> bool:
        """Whether the model's points of an image are offered."""
        if self.plan is None or self.viewer.sees_all:
            return True
        return sees_model(self.plan, self.viewer, self.readings(image))

    def own(self, image: str) -> Reading | None:
        """The submitted reading of an image that the user may see although others are hidden."""
        if self.plan is None:
            return None
        found = own_reading(self.plan, self.viewer, self.readings(image), self._now())
        return found if found is not None and found.is_submitted else None

    def part(self, image: str) -> Part:
        """What the user may do with an image."""
        if self.plan is None:
            return Part(may_save=True, offers_model=True, reading=None)
        return part_of(self.plan, self.viewer, self.readings(image), self._now())

    def tag(self, image: str, tag: str) -> str | None:
        """Tag under which the user sees a label; ``None`` where it is hidden.

        ``final`` is the own reading while the final label is hidden, so that clients which know no readings find it.
        """
        if self.shows_labels(image):
            return tag if tag != PREDICTED or self.shows_model(image) else None
        own = self.own(image)
        if own is not None and tag in (FINAL, own.tag):
            return own.tag
        if tag != PREDICTED or not self.shows_model(image):
            return None
        if self._predicted is not None:
            noted = self._predicted.get(image, {})
        else:
            noted = self._store.get_label_info(image, PREDICTED)
        return None if is_of_person(noted) else tag

    def shows_version(self, image: str, tag: str, metadata: Mapping[str, Any]) -> bool:
        """Whether a version of a label that the user sees is shown, too: while others are hidden, own ones only.

        Args:
            image: its id.
            tag: of the label, as ``tag`` returns it.
            metadata: of the version, which may be of a reading that was removed.
        """
        if self.shows_labels(image):
            return True
        return not is_of_person(metadata) if tag == PREDICTED else labeller(metadata) == self.viewer.reader

    def entry(self, image: str, entry: dict[str, Any]) -> dict[str, Any]:
        """An image of MONAI Label's list of the datastore, ``{"image": ..., "labels": ...}``, as it is shown."""
        if self.shows_labels(image) and self.shows_model(image):
            return entry
        labels = {tag: of for tag, of in entry["labels"].items() if self.tag(image, tag) == tag}
        noted = self.image_info(image, entry["image"]["info"])
        return {"image": {**entry["image"], "info": noted}, "labels": labels}

    def states(self, images: Collection[str]) -> dict[str, str]:
        """How far the readings of images are, for the user; empty without a plan."""
        if self.plan is None:
            return {}
        missing = [image for image in images if image not in self._known] if self._all is None else []
        found = self._load(missing) if missing else {}
        self._known.update({image: found.get(image, ImageReadings(image)) for image in missing})
        now = self._now() if images else 0.0
        return {image: reading_state(self.plan, self.viewer, self.readings(image), now) for image in images}

    def status(self, status: dict[str, Any]) -> dict[str, Any]:
        """Numbers of the datastore, without labels that are hidden; see ``StudiesDatastore.status``."""
        if self.is_open:
            return status
        self.prepare()
        finals = sum(map(self.shows_labels, self._store.get_labeled_images(FINAL)))
        predicted = sum(self.tag(image, PREDICTED) is not None for image in self._store.get_labeled_images(PREDICTED))
        tags = {FINAL: finals, PREDICTED: predicted}
        return {**status, "completed": finals, "label_tags": {tag: count for tag, count in tags.items() if count}}

    def info(self, info: dict[str, Any]) -> dict[str, Any]:
        """Description of the app, without labels that are hidden: their numbers, and why one cannot be learnt from."""
        if self.is_open:
            return info
        stats = {
            model: {
                name: {image: why for image, why in of.items() if self.shows_labels(image)} if name == SKIPPED else of
                for name, of in report.items()
            }
            for model, report in info["train_stats"].items()
        }
        return {**info, "datastore": self.status(info["datastore"]), "train_stats": stats}

    def image_info(self, image: str, info: dict[str, Any]) -> dict[str, Any]:
        """Metadata of an image, without what tells who has worked on it, or what users have written."""
        if self.shows_labels(image):
            return info
        shown = {name: value for name, value in info.items() if name in _IMAGE_FACTS}
        stated = info.get(STATED_SIDE)
        if isinstance(stated, Mapping):
            shown[STATED_SIDE] = {**stated, "user": ""}
        return shown
