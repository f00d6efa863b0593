"""A study: its plan, its progress, and the reading that is given to a reader; none on servers before 0.11."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from .errors import REFUSED, TAKEN, ServerError
from .json_fields import (
    as_bool,
    as_choice,
    as_integer,
    as_list,
    as_object,
    as_string,
    optional_number,
)

FIRST, SECOND, REPEAT = "first", "second", "repeat"
"""Kinds of readings."""
KINDS = (FIRST, SECOND, REPEAT)


@dataclass(frozen=True)
class Reading:
    """A reader's reading of one image.

    Attributes:
        number: 1, 2, ... in the image.
        kind: ``FIRST``, ``SECOND`` or ``REPEAT``.
        is_blind: whether nothing of other readings is shown.
        offers_model: whether points of the model are offered.
    """

    number: int
    kind: str
    is_blind: bool
    offers_model: bool

    @property
    def tag(self) -> str:
        """Tag under which its label is saved."""
        return f"reading-{self.number}"

    def as_dict(self) -> dict[str, Any]:
        """The reading as the server sends it, see ``parse_reading``."""
        return {"number": self.number, "kind": self.kind, "blind": self.is_blind, "model": self.offers_model}


@dataclass(frozen=True)
class ReaderProgress:
    """How far a reader is.

    Attributes:
        reader: name.
        done: readings that are submitted.
        open: readings under work.
        to_do: images that this reader may still read.
        seconds_median: working time of a reading; ``None`` where unknown or hidden.
    """

    reader: str
    done: int
    open: int
    to_do: int
    seconds_median: Optional[float] = None


@dataclass(frozen=True)
class Study:
    """A study with a plan.

    Attributes:
        user: who asked, as the server knows it; "" for nobody in particular.
        is_reader: whether the user reads by the plan.
        is_adjudicator: whether the user chooses final labels.
        readers: their progress, in the order of the plan.
        images: number of images.
        read: of them, read as often as the plan wants.
        to_adjudicate: of them, waiting for an adjudicator.
        final: of them, with their final label.
    """

    user: str
    is_reader: bool
    is_adjudicator: bool
    readers: tuple[ReaderProgress, ...] = ()
    images: int = 0
    read: int = 0
    to_adjudicate: int = 0
    final: int = 0

    @property
    def has_part(self) -> bool:
        """Whether the user reads or adjudicates."""
        return self.is_reader or self.is_adjudicator


@dataclass(frozen=True)
class NextReading:
    """What a user is to do next.

    Attributes:
        image_id: the image; ``None`` where nothing is left.
        reading: of the image; ``None`` where it is to be adjudicated.
        sentence: why there is none, "" otherwise.
    """

    image_id: Optional[str]
    reading: Optional[Reading] = None
    sentence: str = ""


def parse_study(content: Any) -> Optional[Study]:
    """Parse ``GET /study``; ``None`` without a plan.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    content = as_object(content, "study")
    if content.get("plan") is None:
        return None
    you, progress = as_object(content.get("you"), "you"), as_object(content.get("progress"), "progress")
    return Study(
        user=as_string(you.get("user"), "user"),
        is_reader=as_bool(you.get("is_reader"), "is_reader"),
        is_adjudicator=as_bool(you.get("is_adjudicator"), "is_adjudicator"),
        readers=tuple(map(_reader_progress, as_list(progress.get("readers"), "readers"))),
        images=as_integer(progress.get("images"), "images"),
        read=as_integer(progress.get("read"), "read"),
        to_adjudicate=as_integer(progress.get("to_adjudicate"), "to_adjudicate"),
        final=as_integer(progress.get("final"), "final"),
    )


def _reader_progress(content: Any) -> ReaderProgress:
    fields = as_object(content, "progress of a reader")
    return ReaderProgress(
        reader=as_string(fields.get("reader"), "reader"),
        done=as_integer(fields.get("done"), "done"),
        open=as_integer(fields.get("open"), "open"),
        to_do=as_integer(fields.get("to_do"), "to_do"),
        seconds_median=optional_number(fields.get("seconds_median"), "seconds_median", 0),
    )


def parse_next_reading(content: Any) -> NextReading:
    """Parse ``POST /study/next``.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    content = as_object(content, "next reading")
    if content.get("image") is None:
        return NextReading(None, sentence=as_string(content.get("sentence"), "sentence"))
    image_id = as_string(content.get("image"), "image")
    if content.get("adjudicate") is not None and as_bool(content["adjudicate"], "adjudicate"):
        return NextReading(image_id)
    return NextReading(image_id, parse_reading(content.get("reading")))


def parse_reading(content: Any) -> Reading:
    """Parse a reading as ``Reading.as_dict`` has it; other entries are ignored.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    fields = as_object(content, "reading")
    return Reading(
        number=as_integer(fields.get("number"), "number", 1),
        kind=as_choice(fields.get("kind"), KINDS, "kind"),
        is_blind=as_bool(fields.get("blind"), "blind"),
        offers_model=as_bool(fields.get("model"), "model"),
    )


def refusal(error: ServerError) -> ServerError:
    """The error for a request that the study plan refuses, with the server's own sentence; others are unchanged."""
    if error.kind != TAKEN or not error.detail:
        return error
    sentence = error.detail[:1].upper() + error.detail[1:].rstrip(".")
    return ServerError(REFUSED, f"{sentence}.", error.detail)
