"""Names in any writing in the order in which letters are printed: right-to-left ones reversed, Arabic letters joined.

reportlab prints letters from left to right, each as it is. What is here suffices for names and other short texts of one
line: the directions of Unicode's bidirectional algorithm without embeddings, whose characters are not printable, and
the joined forms of the Arabic letters that Unicode lists. It needs no other package.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

_FORMS = ("isolated", "final", "initial", "medial")
_LETTERS = (*range(0xFB50, 0xFBB2), *range(0xFBD3, 0xFBE0), *range(0xFBFC, 0xFC00), *range(0xFE80, 0xFEFD))
"""Code points of Unicode's presentation forms of single letters, and of lam with alef."""
_TATWEEL = "\N{ARABIC TATWEEL}"
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_LEFT, _RIGHT, _NUMBER, _NEUTRAL = "L", "R", "N", ""
_KINDS = {"L": _LEFT, "R": _RIGHT, "AL": _RIGHT, "EN": _NUMBER, "AN": _NUMBER}
_IN_NUMBERS = ("ES", "CS")


def in_printed_order(text: str) -> str:
    """A text of one line with its letters from left to right as they are printed.

    Args:
        text: in the order in which it is read, without control characters. It is isolated: it has the direction of its
            first letter, whatever it stands in.
    """
    if not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return text
    clusters = list(_clusters(_joined(text)))
    kinds = _resolved([_kind(cluster) for cluster in clusters], [cluster[0] for cluster in clusters])
    base = next(kind for kind in kinds if kind in (_LEFT, _RIGHT))
    levels = _levels(kinds, base)
    pieces = [
        cluster.translate(_MIRRORED) if level % 2 else cluster for cluster, level in zip(clusters, levels, strict=True)
    ]
    for level in range(max(levels), 0, -1):
        start = 0
        while start < len(pieces):
            end = start
            while end < len(pieces) and levels[end] >= level:
                end += 1
            pieces[start:end] = reversed(pieces[start:end])
            levels[start:end] = reversed(levels[start:end])
            start = end + 1
    return "".join(pieces)


def _clusters(text: str) -> Iterator[str]:
    """Letters, each with the marks that follow it."""
    cluster = ""
    for letter in text:
        if cluster and not unicodedata.combining(letter):
            yield cluster
            cluster = ""
        cluster += letter
    if cluster:
        yield cluster


def _kind(cluster: str) -> str:
    return _KINDS.get(unicodedata.bidirectional(cluster[0]), _NEUTRAL)


def _resolved(kinds: list[str], letters: Sequence[str]) -> list[str]:
    """Kinds with points and strokes within numbers as numbers."""
    for i in range(1, len(kinds) - 1):
        is_within = kinds[i - 1] == kinds[i + 1] == _NUMBER
        if is_within and kinds[i] == _NEUTRAL and unicodedata.bidirectional(letters[i]) in _IN_NUMBERS:
            kinds[i] = _NUMBER
    return kinds


def _levels(kinds: Sequence[str], base: str) -> list[int]:
    """Embedding levels: even ones run to the right, odd ones to the left."""
    strong, sides = base, []
    for kind in kinds:
        strong = kind if kind in (_LEFT, _RIGHT) else strong
        sides.append(_NEUTRAL if kind == _NEUTRAL else strong)  # a number goes with the letters before it
    levels = []
    for i, (kind, side) in enumerate(zip(kinds, sides, strict=True)):
        if side == _NEUTRAL:
            before = next((one for one in reversed(sides[:i]) if one), base)
            after = next((one for one in sides[i:] if one), base)
            side = before if before == after else base
        if side == _LEFT:
            levels.append(2 if base == _RIGHT else 0)
        else:
            levels.append(2 if kind == _NUMBER else 1)
    return levels


@cache
def _arabic_forms() -> dict[str, dict[str, str]]:
    """By letter, or lam with alef: the characters that show it alone, and joined to one or both neighbours."""
    forms: dict[str, dict[str, str]] = {_TATWEEL: dict.fromkeys(_FORMS, _TATWEEL)}
    for code in _LETTERS:
        form, _, letters = unicodedata.decomposition(chr(code)).partition(" ")
        forms.setdefault("".join(chr(int(one, 16)) for one in letters.split()), {})[form.strip("<>")] = chr(code)
    return forms


def _joined(text: str) -> str:
    """A text, in the order in which it is read, with the joined forms of its Arabic letters."""
    forms = _arabic_forms()
    units: list[str] = []
    for letter in text:
        if units and units[-1] + letter in forms:
            units[-1] += letter
        else:
            units.append(letter)
    bare = [i for i, unit in enumerate(units) if not unicodedata.combining(unit[0])]
    own = [forms.get(units[i], {}) for i in bare]
    for k, i in enumerate(bare):
        is_joined_before = k > 0 and "final" in own[k] and "initial" in own[k - 1]
        is_joined_after = k + 1 < len(bare) and "initial" in own[k] and "final" in own[k + 1]
        units[i] = own[k].get(_FORMS[is_joined_before + 2 * is_joined_after], units[i])
    return "".join(units)
