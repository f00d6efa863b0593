"""Everything that the overview of one studies folder needs."""

from __future__ import annotations

from pathlib import Path

from ..store.datastore import StudiesDatastore
from .follow_up import FollowUps
from .image_list import ImageList
from .statistics import LabelStatistics
from .thumbnails import FOLDER, Thumbnails


class Overview:
    """The overview of a studies folder.

    Args:
        store: the studies folder.
        folder: of the app's own files in it.

    Attributes:
        images: lists of the images.
        thumbnails: of the images.
        statistics: of the labels.
        follow_ups: of the patients.
    """

    def __init__(self, store: StudiesDatastore, folder: Path) -> None:
        self.images = ImageList(store.context)
        self.follow_ups = FollowUps(store)
        self.statistics = LabelStatistics(store.context)
        self.thumbnails = Thumbnails(store, folder / FOLDER)
        store.follow_gone(self.thumbnails.forget)
