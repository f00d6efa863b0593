"""Which image kills the process that works on it: a note in the output while a part is being worked on.

A part whose process has died before is done carefully, one image at a time, with a note of which. An image that is
noted when the process dies again is tried in a process of its own; if that dies, too, the image is set aside.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from ..output import Output

ATTEMPTS = "attempts"
MAX_UNEXPLAINED_DEATHS = 6
"""Deaths of processes before they came to any image, of one part, after which the run stops."""


class DyingWorkersError(RuntimeError):
    """Processes die before they come to an image; no image is the reason."""


@dataclass
class _Note:
    """Attributes: deaths without a noted image; the image at work; images that were at work when a process died."""

    unexplained: int = 0
    at: int | None = None
    suspects: list[int] = field(default_factory=list)


class PartAttempts:
    """The note of one part, begun now.

    Args:
        output: of the run.
        number: of the part.

    Attributes:
        is_careful: whether a process died before while it worked on this part.

    Raises:
        DyingWorkersError: too many processes have died before they came to an image.
        OSError: the note cannot be written.
    """

    def __init__(self, output: Output, number: int) -> None:
        self._output, self._name = output, f"{ATTEMPTS}/part-{number:07d}.json"
        self._note, self.is_careful = self._read()
        if self._note.unexplained > MAX_UNEXPLAINED_DEATHS:
            raise DyingWorkersError(
                f"{self._note.unexplained} processes died before they came to an image of part {number}: look into "
                "their logs, and whether there is enough memory for the model"
            )
        self._write()

    def _read(self) -> tuple[_Note, bool]:
        try:
            note = _Note(**json.loads(self._output.read(self._name)))
        except FileNotFoundError:
            return _Note(), False
        except (ValueError, TypeError):  # of another version, or damaged
            return _Note(), True
        if note.at is None:
            note.unexplained += 1
        elif note.at not in note.suspects:
            note.suspects.append(note.at)
        note.at = None
        return note, True

    def _write(self) -> None:
        self._output.write(self._name, json.dumps(asdict(self._note)).encode())

    def is_suspect(self, index: int) -> bool:
        """Whether a process died while it worked on this image."""
        return index in self._note.suspects

    def begin(self, index: int) -> None:
        """Note the image that is being worked on, where that is done carefully."""
        if self.is_careful:
            self._note.at, self._note.unexplained = index, 0
            self._write()

    def end(self) -> None:
        """Remove the note: the part is done, or this process ends without dying."""
        self._output.remove(self._name)
