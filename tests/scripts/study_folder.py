"""A studies folder with a plan, and readings by two readers of three images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from lib.image_io import read_radiograph
from lib.server.annotation.readings.study import Study
from lib.server.store.datastore import StudiesDatastore
from lib.spine.imaging.image_geometry import ImageGeometry
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine
from lib.study.plan import checked_plan
from lib.study.visibility import viewer_of

PLAN = {
    "readers": ["ada", "ben"],
    "adjudicators": ["cleo"],
    "second_reading": {"share": 1.0},
    "hold_out": {"images": ["three"]},
}
IMAGES = ("one", "two", "three")


def bent(ladder: np.ndarray, degrees: float) -> np.ndarray:
    """``(17, 5, 2)`` points of a spine with a curve to image right between the outermost vertebrae.

    Args:
        ladder: points of a straight spine.
        degrees: the angle.
    """
    tilt = np.radians(degrees) * np.linspace(-0.5, 0.5, len(ladder))
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]).transpose(2, 0, 1)
    return ladder[:, :1] + np.einsum("vij,vpj->vpi", turn, ladder - ladder[:, :1])


def read_by_two(folder: Path, ladder: np.ndarray) -> None:
    """Make the folder: ada reads 20, 30 and 40 degrees, ben one degree more; cleo takes ben's reading of the first.

    Args:
        folder: new.
        ladder: points of a straight spine.
    """
    folder.mkdir()
    for name in IMAGES:
        Image.new("L", (100, 300)).save(folder / f"{name}.png", dpi=(254, 254))
    store = StudiesDatastore(str(folder))
    try:
        study = Study(store, lambda image: read_radiograph(Path(store.get_image_uri(image))), has_login=False)
        plan = checked_plan(PLAN)
        study.change_plan(plan)
        for reader, more in (("ada", 0.0), ("ben", 1.0)):
            for number, image in enumerate(IMAGES):
                geometry: ImageGeometry = read_radiograph(Path(store.get_image_uri(image))).geometry
                spine = Spine.from_arrays(bent(ladder, 20 + 10 * number + more))
                content = json.dumps(to_markups(spine, geometry)).encode()
                facts = {"user": reader, "seconds": 100.0 + number, "edits": number, "client": "browser"}
                facts |= {"model_version": "7"} if reader == "ada" else {}
                study.slots.submit(plan, viewer_of(plan, reader, False), image, content, facts)
        study.adjudications.take(plan, "one", 2, "cleo")
    finally:
        store.close()
