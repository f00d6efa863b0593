"""Log redaction: image ids, file names and request parameters, which may identify a patient, stay out of the logs.

MONAI Label logs every request with its parameters, and image libraries quote what they fail to read. Records of loggers
other than this project's and the web server's lose their message, and tracebacks lose theirs; both keep the source
location.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any

import SimpleITK as sitk

_TRUSTED_LOGGERS = ("lib", "main", "uvicorn", "asyncio", "task_train", "task_scoring", "task_batch_infer")
"""Logger roots whose messages are kept."""
_ROUTES = frozenset(
    ("info", "infer", "batch", "train", "scoring", "activelearning", "datastore", "image", "label", "session", "logs")
)
_PASSWORD = re.compile(r"(?<=://)([^:@/\s]*):[^@/\s]+@")
_SETTING = re.compile(r"""('dicomweb_(?:password|token)'[:,] )(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""As MONAI Label logs ``--conf``."""


def install_log_redaction() -> None:
    """Redact every log record of this process from now on; idempotent."""
    logging.captureWarnings(True)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # ITK itself prints warnings, with paths
    logging.getLogger("monailabel").setLevel(logging.WARNING)
    logging.getLogger("monailabel.tasks.train").setLevel(logging.INFO)  # training progress
    factory = logging.getLogRecordFactory()
    if factory.__name__ == _redacted_record.__name__:
        return
    _redacted_record.factory = factory  # type: ignore[attr-defined]
    logging.setLogRecordFactory(_redacted_record)


def _redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record: logging.LogRecord = _redacted_record.factory(*args, **kwargs)  # type: ignore[attr-defined]
    if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, version, status = record.args
        record.args = (client, method, redact_path(str(path)), version, status)
    elif record.levelno >= logging.WARNING and not _is_trusted(record.name):
        record.msg, record.args = "A message is left out, since it may name a patient", ()
    if record.exc_info and record.exc_info[1] is not None:
        record.msg = f"{record.getMessage()}\n{redacted_traceback(record.exc_info[1])}"
        record.args, record.exc_info = (), None
    return record


def _is_trusted(name: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in _TRUSTED_LOGGERS)


def redact_path(path: str) -> str:
    """The path of a request without its query; segments that are no route names become ``...``."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if not part or part in _ROUTES else "..." for part in parts)


def redact_passwords(text: str) -> str:
    """A text with the passwords in URLs, and those of a PACS in settings, masked."""
    return _SETTING.sub(r"\1'***'", _PASSWORD.sub(r"\1:***@", text))


def redacted_traceback(error: BaseException) -> str:
    """Types and source locations of an error and its causes, without their messages."""
    lines = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines.append(type(cause).__name__)
        frames = traceback.extract_tb(cause.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        cause = cause.__cause__ or cause.__context__
    return "\n".join(lines)
