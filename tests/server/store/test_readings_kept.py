"""No reading is lost, shown or called blind through removals, imports and changes of the plan."""

from __future__ import annotations

from lib.server.annotation.readings.study import Study

from .study_store import TWICE, planned, store_of, submit


def test_versions_of_a_removed_reading_are_hidden_from_whoever_reads_in_its_place(study: Study) -> None:
    planned(study, TWICE)
    submit(study, "ada", "a")
    store = store_of(study)
    store.remove_label("a", "reading-1")
    assert submit(study, "ben", "a") == ("reading-1", 2)
    made = [one["info"] for one in store.label_versions("a", "reading-1")]
    gate = study.gate("ben")
    assert gate.tag("a", "reading-1") == "reading-1"
    assert [gate.shows_version("a", "reading-1", info) for info in made] == [False, True]
    assert [study.gate("cleo").shows_version("a", "reading-1", info) for info in made] == [True, True]
    predicted = [{"model_version": "1"}, {"model_version": "1", "user": "ada"}]  # with points that she has fixed
    assert [gate.shows_version("a", "original", info) for info in predicted] == [True, False]
