"""Stand-ins are consistent, keyed, and lead back with the map only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lib.deidentification import Pseudonyms

KEY = bytes(range(32))


def test_the_same_key_gives_the_same_stand_ins_and_another_key_others() -> None:
    first, second, other = Pseudonyms(KEY), Pseudonyms(KEY), Pseudonyms()
    for ask in (
        lambda one: one.patient("A"),
        lambda one: one.image("x", "A"),
        lambda one: one.annotator("Ada"),
        lambda one: one.uid("1.2"),
    ):
        assert ask(first) == ask(first) == ask(second) != ask(other)
    assert first.image("x", "A").startswith(f"{first.patient('A')}_")
    assert first.patient("A") != first.patient("B")
    assert (first.annotator(""), first.uid("")) == ("", "")


def test_the_map_leads_back_and_is_used_again(tmp_path: Path) -> None:
    first = Pseudonyms()
    names = (first.patient("Müller"), first.image("a \udcff", "Müller"), first.annotator("Zoë"), first.uid("1.2.3"))
    first.save(tmp_path / "map.json")
    first.save(tmp_path / "map.json")
    loaded = Pseudonyms.load(tmp_path / "map.json")
    assert loaded.original("patients", names[0]) == "Müller"
    assert loaded.original("images", names[1]) == "a \udcff"
    assert loaded.original("annotators", names[2]) == "Zoë"
    assert loaded.original("uids", names[3]) == "1.2.3"
    assert loaded.original("uids", "1.2.3") is None
    assert loaded.patient("new") == first.patient("new")
    assert loaded.date("20260101", "p") == first.date("20260101", "p")
    assert [path.name for path in tmp_path.iterdir()] == ["map.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_the_map_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Pseudonyms().save(tmp_path / "map.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "map.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"key": "00"}', '{"key": 3, "patients": {}}'])
def test_another_file_is_no_map(tmp_path: Path, content: str) -> None:
    (tmp_path / "map.json").write_text(content)
    with pytest.raises(ValueError, match=r"map\.json is no map of an earlier export"):
        Pseudonyms.load(tmp_path / "map.json")


@pytest.mark.parametrize("date", ["", "2026", "yesterday", "20261350", "00010101", "20260101-20260202"])
def test_what_is_no_date_becomes_empty(date: str) -> None:
    assert Pseudonyms(KEY).date(date, "p") == ""


def test_old_spellings_of_dates_are_moved_alike() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.date("2026.03.01", "p") == pseudonyms.date("20260301", "p") != ""
