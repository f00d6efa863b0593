"""Content items that both reports have, in the words of TID 1500."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from . import codes
from .label_version import FINAL, DocumentReference, LabelVersion, Verification
from .subject import MANUFACTURER, PROGRAM, ReportSubject, derived_uid, new_instance

if TYPE_CHECKING:
    from highdicom import pr, sr
else:

    class _LazyModule:
        """A part of highdicom, imported when it is used first: that takes a while, and few servers need it."""

        def __init__(self, load: Callable[[], Any]) -> None:
            self._load = load

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self._load(), attribute)

    def _load_pr() -> Any:
        from highdicom import pr

        return pr

    def _load_sr() -> Any:
        from highdicom import sr

        return sr

    pr, sr = _LazyModule(_load_pr), _LazyModule(_load_sr)

__all__ = [
    "Links",
    "algorithm",
    "evaluation",
    "measurement",
    "measurement_report",
    "observers",
    "person_name",
    "pr",
    "sr",
]
MAX_NAME = 64
"""Longest name of a person, in characters."""


def evaluation(name: str, value: str | Code) -> sr.QualitativeEvaluation:
    """A coded statement; names are values of the private scheme."""
    return sr.QualitativeEvaluation(codes.PRIVATE[name], codes.PRIVATE[value] if isinstance(value, str) else value)


def measurement(name: Code, value: float, unit: Code) -> sr.Measurement:
    """A number with all its digits."""
    return sr.Measurement(name, float(value), unit)


def algorithm(info: Mapping[str, Any]) -> sr.AlgorithmIdentification | None:
    """Identification of the model that predicted points; ``None`` where no version is noted."""
    version, digest = (info.get(key) for key in ("model_version", "model_digest"))
    if not version:
        return None
    parameters = [f"model_digest={digest}"] if digest else None
    return sr.AlgorithmIdentification(PROGRAM, str(version), parameters)


def observers(label: LabelVersion, identity: str) -> sr.ObservationContext:
    """The annotator, and the program that observed with or without one."""
    person = None
    if label.annotator:
        attributes = sr.PersonObserverIdentifyingAttributes(
            person_name(label.annotator), login_name=_login(label.info.get("user"))
        )
        person = sr.ObserverContext(dictionary.DCM.Person, attributes)
    version = label.info.get("model_version")
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", identity),
        name=PROGRAM,
        manufacturer_name=MANUFACTURER,
        model_name=str(version) if version else None,
    )
    return sr.ObservationContext(
        observer_person_context=person, observer_device_context=sr.ObserverContext(dictionary.DCM.Device, device)
    )


def _login(user: object) -> str | None:
    return user if isinstance(user, str) and user.strip() else None


def person_name(text: str) -> str:
    """A name as DICOM allows it: one line without delimiters, all of it the family name."""
    allowed = "".join(" " if letter in "^=\\" or not letter.isprintable() else letter for letter in text)
    name = " ".join(allowed.split())[: MAX_NAME - 1] or "unnamed"
    return f"{name}^"  # without a delimiter highdicom takes it for malformed


@dataclass(frozen=True)
class Links:
    """What a report states besides its measurement groups.

    Attributes:
        items: further items of the root.
        evidence: instances that the content refers to besides the image.
        verification: who attests it; ``None`` for nobody.
        predecessor: report that it replaces.
    """

    items: tuple[sr.ContentItem, ...] = ()
    evidence: tuple[DocumentReference, ...] = ()
    verification: Verification | None = None
    predecessor: DocumentReference | None = None


def measurement_report(
    subject: ReportSubject, kind: str, description: str, groups: Iterable[sr.Template], links: Links = Links()
) -> Dataset:
    """A Comprehensive SR of TID 1500 about one image.

    Args:
        subject: what it is about.
        kind: of the instance, which gives its series.
        description: of the series.
        groups: measurement groups.
        links: what else it states.
    """
    image, label = subject.image, subject.label
    content = sr.MeasurementReport(
        observation_context=observers(label, subject.identity),
        procedure_reported=codes.RADIOGRAPHY,
        imaging_measurements=list(groups),
        title=codes.MEASUREMENT_REPORT,
        referenced_images=[image.without_patient()] if image.has_library_entry else None,
    )[0]
    content.ContentSequence.extend(links.items)
    dataset = new_instance(subject, kind, "SR")
    dataset.SeriesDescription = description
    dataset.ReferencedPerformedProcedureStepSequence, dataset.PerformedProcedureCodeSequence = [], []
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PreliminaryFlag = "FINAL" if label.tag == FINAL else "PRELIMINARY"
    dataset.CodingSchemeIdentificationSequence = [codes.scheme_identification()]
    dataset.CurrentRequestedProcedureEvidenceSequence = _references([image.reference, *links.evidence])
    if links.predecessor is not None:
        dataset.PredecessorDocumentsSequence = _references([links.predecessor])
    if links.verification is not None:
        dataset.VerificationFlag = "VERIFIED"
        dataset.VerifyingObserverSequence = [_attested(links.verification)]
    for element in content:
        dataset.add(element)
    return dataset


def _attested(verification: Verification) -> Dataset:
    item = Dataset()
    item.VerifyingObserverName = person_name(verification.observer)
    item.VerifyingOrganization = verification.organization
    item.VerificationDateTime = verification.when.strftime("%Y%m%d%H%M%S")
    item.VerifyingObserverIdentificationCodeSequence = []
    return item


def _references(documents: Iterable[DocumentReference]) -> list[Dataset]:
    """Documents of different series as a sequence of studies, series and instances."""
    studies: dict[str, Dataset] = {}
    for document in documents:
        study, series, instance = studies.setdefault(document.study_uid, Dataset()), Dataset(), Dataset()
        instance.ReferencedSOPClassUID = document.sop_class_uid
        instance.ReferencedSOPInstanceUID = document.sop_instance_uid
        series.SeriesInstanceUID, series.ReferencedSOPSequence = document.series_uid, [instance]
        study.StudyInstanceUID = document.study_uid
        study.ReferencedSeriesSequence = [*study.get("ReferencedSeriesSequence", ()), series]
    return list(studies.values())
