"""What a PACS says about an instance: its UIDs, and the attributes that tell a frontal radiograph of the spine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MODALITY, STUDY_DATE = "00080060", "00080020"
BODY_PART, VIEW = "00180015", "00185101"
STUDY_DESCRIPTION, SERIES_DESCRIPTION = "00081030", "0008103E"
_SOP_CLASS, _PATIENT_ID, _ISSUER = "00080016", "00100020", "00100021"
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
OPTIONAL = {
    BODY_PART: "BodyPartExamined",
    VIEW: "ViewPosition",
    STUDY_DESCRIPTION: "StudyDescription",
    SERIES_DESCRIPTION: "SeriesDescription",
    STUDY_DATE: "StudyDate",
}
"""Tags that the filter asks for, and their keywords; a PACS need not support them in searches."""
_KEYWORDS = {
    _STUDY: "StudyInstanceUID",
    _SERIES: "SeriesInstanceUID",
    _INSTANCE: "SOPInstanceUID",
    _SOP_CLASS: "SOPClassUID",
    MODALITY: "Modality",
    _PATIENT_ID: "PatientID",
    _ISSUER: "IssuerOfPatientID",
    **OPTIONAL,
}
SEARCHED = (*OPTIONAL.values(), _KEYWORDS[_ISSUER])
"""Keywords that a search has to ask for."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
MAX_UID_LENGTH = 64
_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"  # DX, the detector's own values


class InstanceUids(NamedTuple):
    """Where an instance lies in a PACS.

    Attributes:
        study: Study Instance UID.
        series: Series Instance UID.
        instance: SOP Instance UID.
    """

    study: str
    series: str
    instance: str


@dataclass(frozen=True)
class Instance:
    """An instance as a search describes it; attributes that are empty or were not returned are "".

    Attributes:
        uids: where it lies.
        modality: such as ``DX``.
        body_part: Body Part Examined.
        study_description: of its study.
        series_description: of its series.
        view: View Position.
        study_date: ``YYYYMMDD``.
        is_for_processing: it holds a detector's own values, of which there is an image for people as well.
        patient_id: identifier of the patient, which nothing is to show or store.
        issuer: who has given it.
        absent: tags of ``OPTIONAL`` that were not returned, not even empty.
    """

    uids: InstanceUids
    modality: str = ""
    body_part: str = ""
    study_description: str = ""
    series_description: str = ""
    view: str = ""
    study_date: str = ""
    is_for_processing: bool = False
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    absent: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, attributes: Mapping[str, Any]) -> Instance | None:
        """Read DICOM JSON; ``None`` where it has no valid UIDs."""
        return cls._from_texts({tag: _text(attributes.get(tag)) for tag in _KEYWORDS}, set(OPTIONAL) - set(attributes))

    @classmethod
    def from_keywords(cls, attributes: Mapping[str, Any]) -> Instance | None:
        """Read a table of texts by keyword; ``None`` where it has no valid UIDs."""
        texts = {tag: str(attributes.get(keyword) or "").strip() for tag, keyword in _KEYWORDS.items()}
        return cls._from_texts(texts, ())

    @classmethod
    def _from_texts(cls, texts: Mapping[str, str], absent: Iterable[str]) -> Instance | None:
        uids = InstanceUids(texts[_STUDY], texts[_SERIES], texts[_INSTANCE])
        if not are_uids(uids):
            return None
        return cls(
            uids,
            texts[MODALITY],
            texts[BODY_PART],
            texts[STUDY_DESCRIPTION],
            texts[SERIES_DESCRIPTION],
            texts[VIEW],
            texts[STUDY_DATE],
            texts[_SOP_CLASS] == _FOR_PROCESSING,
            texts[_PATIENT_ID],
            texts[_ISSUER],
            frozenset(absent),
        )


def are_uids(uids: Iterable[str]) -> bool:
    """Whether all texts are UIDs, which may stand in an address."""
    return all(len(uid) <= MAX_UID_LENGTH and _UID.fullmatch(uid) for uid in uids)


def _text(attribute: Any) -> str:
    """The first value of an attribute in DICOM JSON, as text."""
    values = attribute.get("Value") if isinstance(attribute, Mapping) else None
    first = values[0] if isinstance(values, list) and values else ""
    return "" if first is None or isinstance(first, (Mapping, list)) else str(first).strip()
