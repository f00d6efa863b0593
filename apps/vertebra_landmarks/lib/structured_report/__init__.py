"""DICOM objects of a label version: structured reports, presentation state, encapsulated PDF; and reading them back.

Everything here is a function of its arguments: no network, no files, no database.
"""

import logging

from .cobb_lines_report import cobb_lines_report
from .cobb_proposal import CobbProposal, cobb_proposal
from .encapsulated_pdf import encapsulated_pdf
from .label_version import DocumentReference, LabelVersion, Verification, on_grid
from .landmark_report import landmark_report
from .presentation_state import presentation_state
from .read import CobbLinesReport, LandmarkReport, parse_report, read_report
from .source_image import SourceImage, to_bytes
from .subject import ReportSubject

logging.getLogger("highdicom").setLevel(logging.CRITICAL)  # it logs UIDs, and patients' names that it finds unusual

__all__ = [
    "CobbLinesReport",
    "CobbProposal",
    "DocumentReference",
    "LabelVersion",
    "LandmarkReport",
    "ReportSubject",
    "SourceImage",
    "Verification",
    "cobb_lines_report",
    "cobb_proposal",
    "encapsulated_pdf",
    "landmark_report",
    "on_grid",
    "parse_report",
    "presentation_state",
    "read_report",
    "to_bytes",
]
