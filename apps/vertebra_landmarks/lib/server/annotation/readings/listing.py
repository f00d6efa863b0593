"""All readings of a studies folder with their points, for tables and statistics; of folders without a plan, too."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....image_io import read_radiograph
from ....spine.imaging.image_geometry import PIXELS
from ....spine.labels.markups import from_markups, parse_json, stated_geometry
from ....spine.schema import Spine
from ....study.plan import StudyPlan
from ....study.slots import ImageReadings, Reading, adjudication_of, is_closed
from ...overview.image_list import number_or_none
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ..landmarks import origin_of
from .adjudication import ADJUDICATED
from .plan_file import PlanFile
from .reading_rows import ADJUDICATION, ReadingRows

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ListedReading:
    """One reading of an image, or the final label that an adjudicator has chosen.

    Attributes:
        image: id of the image.
        number: of the reading, from 1; 0 for the adjudicated label.
        kind: first, second, repeat, or adjudication.
        reader: who; "" where unknown.
        is_blind: whether nothing of other readings was shown.
        uses_model: whether the model's points were offered.
        began_at: when it was assigned, seconds since 1970; 0 where unknown.
        submitted_at: when it was first submitted; 1 where unknown.
        seconds: working time; ``None`` where unknown.
        edits: number of edits; ``None`` where unknown.
        model_version: of the points that it began with; "" where unknown, or without.
        client: program that saved it; "" where unknown.
        tag: of its label.
        version: of its label.
        is_final: whether its label is the final one of the image.
        is_held_out: whether no model learns from the image.
        how: how an adjudicator has chosen: the number of a reading, ``mean`` or ``edited``; ``None`` of readings.
        spine: its points in stored pixels.
        facts: all metadata of the label version.
    """

    image: str
    number: int
    kind: str
    reader: str
    is_blind: bool
    uses_model: bool
    began_at: float
    submitted_at: float
    seconds: float | None
    edits: float | None
    model_version: str
    client: str
    tag: str
    version: int
    is_final: bool
    is_held_out: bool
    how: int | str | None
    spine: Spine
    facts: Mapping[str, Any]


def readings(store: StudiesDatastore, with_adjudicated: bool = True) -> Iterator[ListedReading]:
    """All submitted readings, by image and number; what is damaged on the disk is left out, and the log says so.

    Args:
        store: the studies folder.
        with_adjudicated: list the adjudicated labels, too, as number 0 behind the readings of their images.

    Raises:
        PlanError: the folder has a study plan that cannot be read.
    """
    plan = PlanFile(store.context.folder.path).read()
    with store.context.database.reading(snapshot=True) as connection:
        found = ReadingRows(store.context).load(connection)
    for image in sorted(found):
        of = found[image]
        of = of if plan is None else replace(of, adjudication=adjudication_of(plan, of))
        made, chosen = [one for one in of.readings if one.is_submitted], of.adjudication
        if chosen is not None and with_adjudicated:
            made.append(Reading(0, ADJUDICATION, chosen.by, True, 0.0, FINAL, chosen.version, uses_model=False))
        for one in made:
            try:
                yield _listed(store, plan, of, one)
            except (OSError, ValueError) as error:
                logger.warning("A reading is missing or damaged on the disk: %s", type(error).__name__)


def _listed(store: StudiesDatastore, plan: StudyPlan | None, image: ImageReadings, one: Reading) -> ListedReading:
    label = store.read_label_version(image.image, one.tag, one.version)
    markups, facts = parse_json(label.content), label.metadata
    geometry = PIXELS
    if stated_geometry(markups, "label") is None:
        header = store.header(image.image) or read_radiograph(Path(store.get_image_uri(image.image)))
        geometry = header.geometry
    client, chosen = facts.get("client"), facts.get(ADJUDICATED)
    is_only = len(image.independent) == 1 and (plan is None or is_closed(plan, image))
    return ListedReading(
        image=image.image,
        number=one.number,
        kind=one.kind,
        reader=one.reader,
        is_blind=one.is_blind,
        uses_model=one.uses_model,
        began_at=one.began_at if one.began_at < one.at else 0.0,
        submitted_at=one.at or float(facts.get("ts", 1)),
        seconds=number_or_none(facts.get("seconds")),
        edits=number_or_none(facts.get("edits")),
        model_version=origin_of(facts).model_version,
        client=client if isinstance(client, str) else "",
        tag=one.tag,
        version=one.version,
        is_final=one.number == 0 or (image.adjudication is None and one.tag == FINAL and is_only),
        is_held_out=plan is not None and plan.is_held_out(image.image),
        how=chosen.get("how") if one.number == 0 and isinstance(chosen, Mapping) else None,
        spine=from_markups(markups, geometry, "label"),
        facts=facts,
    )
