"""What the errors of libraries say, fit for a sentence."""

from __future__ import annotations

import re

_MAX_CHARACTERS = 200
_PATH = re.compile(r"[\"']?(/[^\s\"']+)+[\"']?")
_ITK_PREFIX = re.compile(r"^(sitk::|ITK )?ERROR: (\w+\(\w+\): )?")


def text_of(error: Exception) -> str:
    """The error in one line, without paths of this computer."""
    text = _PATH.sub("the file", " ".join(str(error).split()))
    return text[:_MAX_CHARACTERS] or type(error).__name__


def itk_text_of(error: RuntimeError) -> str:
    """The last line of what ITK says, which is its reason, without the place in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _PATH.sub("the file", _ITK_PREFIX.sub("", lines[-1] if lines else ""))[:_MAX_CHARACTERS]
