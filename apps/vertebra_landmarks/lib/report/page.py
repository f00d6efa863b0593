"""A report as one page of PDF: the radiograph at the left, the measurement at the right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, Spacer, Table

from .content import NOT_CONFIRMED, RESEARCH_NOTE, ReportContent
from .drawing import draw_radiograph, fitted_size
from .typeface import BOLD, REGULAR, marked_up, printable, register_fonts

PAGE_SIZES = {"a4": A4, "letter": LETTER}
"""Width and height in points by name."""
TITLE = "Spine radiograph: Cobb angles"
MAX_CURVES = 8
MAX_LISTED = 12
"""Warnings, and vertebrae to check, that are listed at most; fewer where they do not fit the page."""
_MARGIN, _GAP = 15 * mm, 7 * mm
_FOOTER = 11 * mm
_IMAGE_SHARE = 0.52  # of the width between the margins
_TEXT, _PALE, _RULE = HexColor("#1c2127"), HexColor("#5a6470"), HexColor("#c3cad2")
_CONFIRMED, _UNCONFIRMED = HexColor("#1d6b39"), HexColor("#a33a00")


def _style(size: float, font: str = REGULAR, color: Any = _TEXT, before: float = 0.0) -> ParagraphStyle:
    return ParagraphStyle(
        f"{font} {size} {color} {before}",
        fontName=font,
        fontSize=size,
        leading=1.32 * size,
        textColor=color,
        spaceBefore=before,
        splitLongWords=True,
    )


_TITLE_STYLE, _HEADING, _BODY, _SMALL = _style(14, BOLD), _style(9.5, BOLD), _style(8.5), _style(7.5, color=_PALE)


def report_pdf(content: ReportContent, page: str = "a4") -> bytes:
    """Draw a report.

    Args:
        content: of the report.
        page: one of ``PAGE_SIZES``.

    Returns:
        A PDF file of one page. Lists that do not fit are cut, and say how many entries are left out.

    Raises:
        ValueError: there is no such page size.
    """
    if page not in PAGE_SIZES:
        raise ValueError(f"page must be one of {', '.join(PAGE_SIZES)}, got {page!r:.40}")
    register_fonts()
    width, height = PAGE_SIZES[page]
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(width, height), pageCompression=1)
    canvas.setTitle(f"{TITLE}, {printable(content.image)}")
    canvas.setCreator("Vertebra Landmarks")
    top = _draw_head(canvas, content, width, height - _MARGIN)
    bottom = _MARGIN + _FOOTER
    inner = width - 2 * _MARGIN
    size = fitted_size(content, _IMAGE_SHARE * inner, top - bottom)
    draw_radiograph(canvas, content, _MARGIN, top - size[1], size)
    column = inner - size[0] - _GAP
    _draw_all(canvas, _fitting(content, column, top - bottom), width - _MARGIN - column, top, column)
    _draw_foot(canvas, content, inner)
    canvas.showPage()
    canvas.save()
    return stream.getvalue()


def _draw_head(canvas: Canvas, content: ReportContent, width: float, top: float) -> float:
    """Title, image and confirmation; returns the upper edge of what follows."""
    is_confirmed = content.confirmation() != NOT_CONFIRMED
    confirmed = _style(9.5, BOLD, _CONFIRMED if is_confirmed else _UNCONFIRMED)
    head: list[Flowable] = [_paragraph(TITLE, _TITLE_STYLE), Spacer(0, 4)]
    head += [_paragraph(line, _BODY) for line in content.identification()]
    head.append(_paragraph(content.confirmation(), confirmed))
    left = _draw_all(canvas, head, _MARGIN, top, width - 2 * _MARGIN)
    canvas.setStrokeColor(_RULE)
    canvas.setLineWidth(0.6)
    canvas.line(_MARGIN, left - 5, width - _MARGIN, left - 5)
    return left - 5 - 4 * mm


def _draw_foot(canvas: Canvas, content: ReportContent, width: float) -> None:
    lines = [_paragraph(content.provenance(), _SMALL), _paragraph(RESEARCH_NOTE, _style(7.5, BOLD, _PALE))]
    _draw_all(canvas, lines, _MARGIN, _MARGIN + _FOOTER - 3 * mm, width)


def _fitting(content: ReportContent, width: float, height: float) -> list[Flowable]:
    """The measurement, with lists as long as fit."""
    for most in range(MAX_LISTED, 0, -1):
        flowables = _measurement(content, width, most)
        if sum(_height_of(one, width) for one in flowables) <= height:
            return flowables
    return _measurement(content, width, 0)


def _measurement(content: ReportContent, width: float, most: int) -> list[Flowable]:
    """Curves, what they mean, tilt, warnings and vertebrae to check.

    Args:
        content: of the report.
        width: of the column in points.
        most: warnings, and vertebrae to check, to list.
    """
    flowables: list[Flowable] = [_paragraph("Curves", _HEADING), Spacer(0, 3)]
    rows = content.curve_rows()
    if rows:
        flowables += [_curve_table(rows[:MAX_CURVES], width), Spacer(0, 3)]
        flowables += [_paragraph(text, _BODY) for text in _left_out(len(rows) - MAX_CURVES)]
    flowables += [_paragraph(sentence, _SMALL) for sentence in content.explanations()]
    flowables += [Spacer(0, 7), _paragraph(content.t1_tilt(), _BODY)]
    for heading, sentences in (("Warnings", content.warnings()), ("Vertebrae to check", content.checks())):
        flowables += [Spacer(0, 8), _paragraph(heading, _HEADING), Spacer(0, 2)]
        listed = [*sentences[:most], *_left_out(len(sentences) - most)] or ["None"]
        for sentence in listed:
            flowables += [_paragraph(sentence, _BODY), Spacer(0, 2)]
    return flowables


def _left_out(count: int) -> list[str]:
    return [f"and {count} more"] if count > 0 else []


def _curve_table(rows: Sequence[tuple[str, str, str, str]], width: float) -> Table:
    """The curves, from top to bottom."""
    head = ("Ends", "Apex", "Side", "Cobb angle")
    style = [
        ("FONTNAME", (0, 0), (-1, 0), BOLD),
        ("FONTNAME", (0, 1), (-1, -1), REGULAR),
        ("FONTNAME", (3, 1), (3, -1), BOLD),
        ("FONTSIZE", (0, 0), (-1, -1), 8),
        ("TEXTCOLOR", (0, 0), (-1, -1), _TEXT),
        ("LINEBELOW", (0, 0), (-1, 0), 0.6, _RULE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    shares = (0.29, 0.19, 0.16, 0.36)
    return Table([head, *rows], colWidths=[share * width for share in shares], style=style, hAlign="LEFT")


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(marked_up(text), style)


def _height_of(flowable: Flowable, width: float) -> float:
    return float(flowable.wrap(width, 1e6)[1])


def _draw_all(canvas: Canvas, flowables: Sequence[Flowable], x: float, top: float, width: float) -> float:
    """Draw one below the other; returns the lower edge."""
    for flowable in flowables:
        top -= float(flowable.wrapOn(canvas, width, 1e6)[1])
        flowable.drawOn(canvas, x, top)
    return top
