"""Logs that name no patient: file names, image ids and parameters of requests stay out of them.

MONAI Label logs every request with its parameters, and the libraries that read images quote what they stumble on. Here
a record of anybody but this project and the web server loses its words, and a traceback loses its messages: both keep
the place in the source that they come from.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any

import SimpleITK as sitk

_KEPT = ("lib", "main", "uvicorn", "asyncio", "task_train", "task_scoring", "task_batch_infer")
"""Loggers whose words are kept."""
_ROUTES = frozenset(
    ("info", "infer", "batch", "train", "scoring", "activelearning", "datastore", "image", "label", "session", "logs")
)
_PASSWORD = re.compile(r"(?<=://)([^:@/\s]*):[^@/\s]+@")


def keep_patients_out_of_logs() -> None:
    """Apply the rule to every record of this process from now on; doing it twice changes nothing."""
    logging.captureWarnings(True)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # ITK prints warnings, with paths, by itself
    logging.getLogger("monailabel").setLevel(logging.WARNING)
    logging.getLogger("monailabel.tasks.train").setLevel(logging.INFO)  # progress, asked for by whoever trains
    make = logging.getLogRecordFactory()
    if make.__name__ == _discreet_record.__name__:
        return
    _discreet_record.make = make  # type: ignore[attr-defined]
    logging.setLogRecordFactory(_discreet_record)


def _discreet_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record: logging.LogRecord = _discreet_record.make(*args, **kwargs)  # type: ignore[attr-defined]
    if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, version, status = record.args
        record.args = (client, method, without_names(str(path)), version, status)
    elif record.levelno >= logging.WARNING and not _is_kept(record.name):
        record.msg, record.args = "A message is left out, since it may name a patient", ()
    if record.exc_info and record.exc_info[1] is not None:
        record.msg = f"{record.getMessage()}\n{outline(record.exc_info[1])}"
        record.args, record.exc_info = (), None
    return record


def _is_kept(name: str) -> bool:
    return any(name == kept or name.startswith(f"{kept}.") for kept in _KEPT)


def without_names(path: str) -> str:
    """The path of a request without its query and without what is no word of the interface."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if not part or part in _ROUTES else "..." for part in parts)


def without_passwords(text: str) -> str:
    """A text in which no URL has a password."""
    return _PASSWORD.sub(r"\1:***@", text)


def outline(error: BaseException) -> str:
    """Kinds and places of an error and its causes, without their messages."""
    lines = []
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        lines.append(type(step).__name__)
        frames = traceback.extract_tb(step.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        step = step.__cause__ or step.__context__
    return "\n".join(lines)
