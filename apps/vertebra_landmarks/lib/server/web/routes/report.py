"""``/report``: the measurement of one image as a page of PDF."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

from ....report import ReportContent, report_pdf
from ...annotation.readings.gate import Gate
from ...inference.infer_task import MODEL
from ...overview.reports import label_report, prediction_report
from ...store.images import PREDICTED
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentGate, Service, ServiceDep
from ..errors import UNREADABLE
from ..file_responses import disposition
from .datastore import ImageId, Tag

router = APIRouter(tags=["Report"])


class PageSize(str, Enum):
    """Paper of a report."""

    A4 = "a4"
    LETTER = "letter"


@router.get(
    "/report",
    openapi_extra={**requires(Role.READER), "responses": {"200": {"content": {"application/pdf": {}}}}},
    response_class=Response,
    summary="The measurement of an image as a page of PDF",
)
async def report(
    service: ServiceDep, gate: CurrentGate, image: ImageId, tag: Tag = "final", page: PageSize = PageSize.A4
) -> Response:
    """Radiograph with outlines and Cobb lines, curves, warnings, vertebrae to check, model, and who has confirmed it.

    Without a label of the tag, the stored prediction is shown, and without that a new one, which is not stored; both
    are "not confirmed by a person". Nothing of the patient is printed but the date of the image, where its header
    states one.
    """
    content = await service.io_pool.run(_of_label, service, gate, image, tag)
    if content is None:
        if not await service.io_pool.run(gate.shows_model, image):
            raise HTTPException(404, f"image {image!r:.80} has no label {tag!r:.80}")
        content = await service.inference_pool.run(_of_prediction, service, image)
    pdf = await service.report_pool.run(report_pdf, content, page.value)
    headers = {"Content-Disposition": f"inline; {disposition(f'{image}.report.pdf')}"}
    return Response(pdf, media_type="application/pdf", headers=headers)


def _of_label(service: Service, gate: Gate, image: str, tag: str) -> ReportContent | None:
    radiograph = service.app.read_image(image)
    tags = [seen for one in (tag, PREDICTED) if (seen := gate.tag(image, one)) is not None]
    try:
        return label_report(service.app.datastore(), image, tags, radiograph)
    except FileNotFoundError as error:
        raise HTTPException(409, "the label is missing on the disk") from error
    except ValueError as error:
        raise HTTPException(UNREADABLE, f"the label holds no vertebra landmarks: {error}") from error


def _of_prediction(service: Service, image: str) -> ReportContent:
    result = service.app.infer({"image": image, "model": MODEL})
    file = Path(result["file"])
    try:
        markups = file.read_bytes()
    finally:
        file.unlink(missing_ok=True)
    radiograph = service.app.read_image(image)
    return prediction_report(service.app.datastore(), image, radiograph, markups, result["params"])
