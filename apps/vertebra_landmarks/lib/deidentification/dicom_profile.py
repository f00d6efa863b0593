"""The Basic Application Level Confidentiality Profile of DICOM PS3.15 for one image, with shifted dates.

Which attributes are removed, emptied or replaced is the table of the standard, as ``dicom-anonymizer`` publishes it; it
is applied here to the items of sequences, too. UIDs and dates are replaced consistently. Finally the header is searched
for what identified the patient: an image where some of it is left is refused.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from dicomanonymizer.simpledicomanonymizer import anonymize_dataset, delete, initialize_actions
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ..image_io import UnreadableImageError
from .pseudonyms import Pseudonyms

EDITION = "dicomfields_2026c"
"""Edition of the standard whose table is used."""
METHOD = "Vertebra Landmarks: PS3.15 Basic Profile, modified dates"
_OPTIONS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
_SHIFTED = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_EMPTY = ("StudyTime", "ContentTime", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName")
_TEMPORAL = ("DA", "TM", "DT")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_NAMES = (
    "PatientName", "PatientID", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName", "PatientMotherBirthName",
    "PatientAddress", "PatientTelephoneNumbers", "AccessionNumber",
)  # fmt: skip
"""Whose values must not occur anywhere in the copy, together with all names of persons, dates and UIDs."""
_NUMBERS = ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "IS", "DS", "AT")
_MIN_CHARACTERS, _MIN_BYTES = 4, 6
"""Shorter values occur by chance, in texts and in compressed pixels."""
_PROBLEMS = (AttributeError, KeyError, NotImplementedError, OSError, TypeError, ValueError, InvalidDicomError)


def deidentified_dicom(source: Path, pseudonyms: Pseudonyms, patient: str) -> tuple[bytes, list[str]]:
    """A copy of a DICOM image.

    Args:
        source: the image.
        pseudonyms: stand-ins.
        patient: whose image it is.

    Returns:
        The file, and a sentence for each reason to look at the pixels.

    Raises:
        UnreadableImageError: it is damaged, or some of what identifies the patient would stay; the message does not
            say what.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of values that a tag should not have
            dataset = pydicom.dcmread(source, force=True)
            originals = _identifying(dataset)
            concerns = burnt_in_concerns(dataset)
            _apply(dataset, pseudonyms, patient)
            _state(dataset, pseudonyms, patient)
            kept = _first_leak(dataset, originals)
            if kept is not None:
                raise UnreadableImageError(f"{kept} of the copy would still have what identifies the patient")
            stream = BytesIO()
            dataset.save_as(stream, write_like_original=False)
    except UnreadableImageError:
        raise
    except _PROBLEMS as error:
        raise UnreadableImageError(f"its header cannot be de-identified ({type(error).__name__})") from error
    return stream.getvalue(), concerns


def burnt_in_concerns(dataset: Dataset) -> list[str]:
    """Why text may be burnt into the pixels, which are copied as they are."""
    burnt = str(dataset.get("BurnedInAnnotation", "")).upper()
    concerns = []
    if burnt == "YES":
        concerns.append("its header says that text is burnt into the pixels")
    elif burnt != "NO":
        concerns.append("its header does not say whether text is burnt into the pixels")
    if str(dataset.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE):
        concerns.append("it is a secondary capture, such as a screenshot or a scan, which often shows the name")
    return concerns


def _apply(dataset: Dataset, pseudonyms: Pseudonyms, patient: str) -> None:
    """Apply the table to a dataset and to all that it contains."""
    rules = _rules(pseudonyms, patient)
    dataset.remove_private_tags()
    for element in [one for one in dataset if one.VR == "UN" or not dictionary_has_tag(one.tag)]:
        del dataset[element.tag]
    anonymize_dataset(dataset, base_rules_gen=lambda: dict(rules))
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _apply(item, pseudonyms, patient)


Rule = Callable[[Dataset, tuple[int, int]], None]


@functools.lru_cache(maxsize=8)
def _rules(pseudonyms: Pseudonyms, patient: str) -> dict[tuple[int, ...], Rule]:
    """The table, with UIDs and dates by pseudonyms."""

    def replace_uid(dataset: Dataset, tag: tuple[int, int]) -> None:
        if tag in dataset:
            value = dataset[tag].value
            is_many = not isinstance(value, str) and value is not None
            dataset[tag].value = [pseudonyms.uid(str(one)) for one in value] if is_many else pseudonyms.uid(value or "")

    def shift(dataset: Dataset, tag: tuple[int, int]) -> None:
        if tag in dataset:
            dataset[tag].value = pseudonyms.date(str(dataset[tag].value or ""), patient)

    def remove(dataset: Dataset, tag: tuple[int, int]) -> None:
        if tag in dataset:
            del dataset[tag]

    def empty(dataset: Dataset, tag: tuple[int, int]) -> None:
        if tag in dataset:
            dataset[tag].value = ""

    table = initialize_actions(EDITION)
    uids = {tag for tag in table if len(tag) == 2 and _vr(tag) == "UI" and table[tag] is not delete}
    times = {tag for tag in table if len(tag) == 2 and _vr(tag) in _TEMPORAL}
    named = {name: _pair(name) for name in (*_SHIFTED, *_EMPTY)}
    return {
        **table,
        **dict.fromkeys(times, remove),
        **dict.fromkeys(uids, replace_uid),
        **{named[name]: empty for name in _EMPTY},
        **{named[name]: shift for name in _SHIFTED},
    }


def _vr(tag: tuple[int, ...]) -> str:
    return str(dictionary_VR(tag)) if dictionary_has_tag(tag) else ""


def _pair(keyword: str) -> tuple[int, int]:
    tag = pydicom.tag.Tag(keyword)
    return tag.group, tag.element


def _state(dataset: Dataset, pseudonyms: Pseudonyms, patient: str) -> None:
    """State the stand-in of the patient, and what was done."""
    dataset.PatientID = dataset.PatientName = pseudonyms.patient(patient)
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", METHOD
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    dataset.DeidentificationMethodCodeSequence = [_code(*option) for option in _OPTIONS]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = _transfer_syntax(dataset)
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128


def _transfer_syntax(dataset: Dataset) -> UID:
    """As the file states it, or as it was found where the file has no such header."""
    stated = dataset.file_meta.get("TransferSyntaxUID")
    if stated:
        return stated
    if not dataset.is_little_endian:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if dataset.is_implicit_VR else ExplicitVRLittleEndian


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _identifying(dataset: Dataset) -> set[str]:
    """Texts that tell whose image it is or when it was taken: names and their parts, ids, dates and UIDs."""
    texts: set[str] = set()
    table = initialize_actions(EDITION)
    for element in _elements(dataset):
        tag = (element.tag.group, element.tag.element)
        values = _texts(element)
        if element.keyword in _NAMES or (element.VR in ("DA", "PN")):
            texts.update(part for text in values for part in (text, *text.replace("=", "^").split("^")))
        elif (element.VR == "UI" and tag in table) or element.VR == "DT":
            texts.update(text[:8] if element.VR == "DT" else text for text in values)
    return {text for text in (text.strip() for text in texts) if len(text) >= _MIN_CHARACTERS}


def _first_leak(dataset: Dataset, originals: set[str]) -> str | None:
    """Keyword of an element that contains one of the texts, other than those that were just written."""
    is_compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
    for element in _elements(dataset):
        if element.keyword in (*_SHIFTED, "PatientID", "PatientName") or element.VR in _NUMBERS:
            continue
        if (element.keyword not in _PIXELS or is_compressed) and _has(element, originals):
            return element.keyword or str(element.tag)
    return None


def _has(element: DataElement, originals: set[str]) -> bool:
    if isinstance(element.value, bytes):
        return any(text.encode() in element.value for text in originals if len(text) >= _MIN_BYTES)
    texts = _texts(element)
    if element.VR == "UI":
        return not originals.isdisjoint(texts)
    return any(original in text for text in texts for original in originals)


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    """All elements, those in sequences as well, but not the sequences."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            yield element


def _texts(element: DataElement) -> list[str]:
    value: Any = element.value
    if value is None or isinstance(value, bytes):
        return []
    values = value if not isinstance(value, str) and hasattr(value, "__iter__") and element.VR != "PN" else [value]
    if element.VR == "PN" and hasattr(value, "__iter__") and not hasattr(value, "components"):
        values = value
    return [str(one) for one in values]
