"""Stand-ins for patients, images, annotators, UIDs and dates: consistent, and derived from a secret key.

Without the key nothing leads back. With it, and with the table of what was replaced, the same originals get the same
stand-ins in a later export, and a person who may can find an original again.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

KINDS = ("patients", "images", "annotators", "uids")
MIN_SHIFT_DAYS, MAX_SHIFT_DAYS = 366, 3_650
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")


class Pseudonyms:
    """Stand-ins, made when first asked for.

    Args:
        key: secret, 32 bytes; a new one without.
        table: stand-ins by kind and original that are known already.
    """

    def __init__(self, key: bytes | None = None, table: dict[str, dict[str, str]] | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self._table = {kind: dict((table or {}).get(kind, {})) for kind in KINDS}

    def patient(self, patient: str) -> str:
        """Stand-in of a patient's id, such as ``p0031415926535897``."""
        number = int.from_bytes(self._digest("patient", patient)[:8], "big") % 10**16
        return self._known("patients", patient, f"p{number:016d}")

    def image(self, image: str, patient: str) -> str:
        """New id of an image: the patient's and a word, which trainings take for an image of the same patient."""
        word = self._digest("image", image).hex()[:8].translate(_LETTERS)
        return self._known("images", image, f"{self.patient(patient)}_{word}")

    def annotator(self, name: str) -> str:
        """Stand-in of an annotator's name, "" for nobody."""
        return self._known("annotators", name, f"a{self._digest('annotator', name).hex()[:6]}") if name else ""

    def uid(self, uid: str) -> str:
        """New UID, "" for none."""
        number = UUID(bytes=self._digest("uid", uid)[:16], version=4).int
        return self._known("uids", uid, f"2.25.{number}") if uid else ""

    def date(self, date: str, patient: str) -> str:
        """A date of DICOM, moved into the past by as many days as all of the patient; "" for what is no date."""
        match = _DATE.fullmatch(date.strip())
        if match is None:
            return ""
        try:
            moved = datetime.date(*map(int, match.groups())) - datetime.timedelta(self._shift_days(patient))
        except (ValueError, OverflowError):
            return ""
        return f"{moved:%Y%m%d}" if moved.year >= 1000 else ""

    def _shift_days(self, patient: str) -> int:
        number = int.from_bytes(self._digest("dates", patient)[:8], "big")
        return MIN_SHIFT_DAYS + number % (MAX_SHIFT_DAYS - MIN_SHIFT_DAYS + 1)

    def original(self, kind: str, stand_in: str) -> str | None:
        """What a stand-in stands for; ``None`` where it is unknown.

        Args:
            kind: one of ``KINDS``.
            stand_in: as found in a copy.
        """
        return next((original for original, new in self._table[kind].items() if new == stand_in), None)

    def _known(self, kind: str, original: str, new: str) -> str:
        return self._table[kind].setdefault(original, new)

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(errors="surrogateescape"), hashlib.sha256)

    def save(self, path: Path) -> None:
        """Write key and table to a file that its owner alone can read; it takes the place of an older one.

        Raises:
            OSError: it cannot be written.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        content = json.dumps({"key": self._key.hex(), **self._table}, indent=1, ensure_ascii=False)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Pseudonyms:
        """Read what ``save`` has written.

        Raises:
            ValueError: the file is something else.
            OSError: it cannot be read.
        """
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
            key = bytes.fromhex(content["key"])
            table = {kind: content[kind] for kind in KINDS}
            pairs = [pair for names in table.values() for pair in names.items()]
            if len(key) != 32 or not all(isinstance(text, str) for pair in pairs for text in pair):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is no map of an earlier export") from error
        return cls(key, table)
