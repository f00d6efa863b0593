"""What a study looks like at a glance: lists of its images, thumbnails, statistics, and images of one patient."""

from __future__ import annotations

from pathlib import Path

from ..store.datastore import StudiesDatastore
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
    """

    def __init__(self, store: StudiesDatastore, folder: Path) -> None:
        self.images = ImageList(store.context)
        self.statistics = LabelStatistics(store.context)
        self.thumbnails = Thumbnails(store, folder / FOLDER)
