"""Reports of one image as a page of PDF."""

from __future__ import annotations

from .content import ReportContent
from .page import PAGE_SIZES, report_pdf

__all__ = ["PAGE_SIZES", "ReportContent", "report_pdf"]
