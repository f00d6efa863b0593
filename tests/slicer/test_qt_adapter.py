"""The stand-in for PythonQt refuses what PythonQt refuses, and hands over what it hands over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slicer
application = pytest.importorskip("harness.fake_slicer.application", reason="needs slicer-core and PySide6")
from harness.fake_slicer import pythonqt, scripted_module  # noqa: E402


@pytest.fixture
def qt(tmp_path: Any) -> Any:
    application.install(tmp_path)
    import qt  # type: ignore[import-not-found]

    return qt


def test_properties_are_attributes_both_ways(qt: Any) -> None:
    button = qt.QPushButton("Submit")
    assert button.text == "Submit"
    button.text, button.enabled, button.name = "Send", False, "submitButton"
    assert (button.text, button.enabled, button.objectName) == ("Send", False, "submitButton")


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        pytest.param(lambda qt, b: b.txt, AttributeError, "no attribute named 'txt'", id="read a typo"),
        pytest.param(lambda qt, b: setattr(b, "txt", "a"), AttributeError, "does not exist", id="write a typo"),
        pytest.param(lambda qt, b: b.text(), TypeError, "not callable", id="a property is no method"),
        pytest.param(lambda qt, b: b.isEnabled(), AttributeError, "isEnabled", id="nor has it a getter"),
        pytest.param(lambda qt, b: setattr(b, "text", 3), AttributeError, "does not accept 3", id="text from a number"),
        pytest.param(lambda qt, b: setattr(b, "enabled", "yes"), AttributeError, "accept 'yes'", id="bool from text"),
        pytest.param(lambda qt, b: setattr(b, "width", 3), AttributeError, "not writable", id="read-only property"),
        pytest.param(lambda qt, b: b.connect("clickd()", print), ValueError, "no signal", id="unknown signal"),
        pytest.param(lambda qt, b: b.connect("clicked(int)", print), ValueError, "no signal", id="other signature"),
        pytest.param(lambda qt, b: b.connect("clicked", print), ValueError, "no signal", id="no signature"),
        pytest.param(lambda qt, b: b.connect("clicked()", None), TypeError, "needs a callable", id="no slot"),
        pytest.param(lambda qt, b: b.clicked.connect(print), AttributeError, "is a signal", id="the way of PySide"),
        pytest.param(lambda qt, b: b.snake_case, AttributeError, "no attribute", id="snake case"),
        pytest.param(lambda qt, b: qt.QPushButon, AttributeError, "no attribute 'QPushButon'", id="unknown class"),
        pytest.param(lambda qt, b: qt.QTimer.single, AttributeError, "no attribute", id="unknown static"),
        pytest.param(lambda qt, b: b.setText(), TypeError, "setText", id="missing argument"),
    ],
)
def test_slips_are_errors(qt: Any, use: Callable[[Any, Any], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        use(qt, qt.QPushButton("Submit"))


def test_a_slot_gets_as_many_arguments_as_it_takes(qt: Any) -> None:
    heard: list[Any] = []
    box = qt.QCheckBox("Lock")
    for slot in (lambda: heard.append("none"), heard.append, lambda *all_of_them: heard.append(all_of_them)):
        assert box.connect("toggled(bool)", slot)
    box.checked = True
    assert heard == ["none", True, (True,)]


def test_disconnect_ends_one_or_all(qt: Any) -> None:
    heard: list[str] = []

    def one() -> None:
        heard.append("one")

    button = qt.QPushButton()
    button.connect("clicked(bool)", one)
    button.connect("clicked(bool)", lambda: heard.append("two"))
    assert button.disconnect("clicked(bool)", one)
    button.click()
    assert heard == ["two"]
    assert button.disconnect("clicked(bool)")
    assert not button.disconnect("clicked(bool)")
    button.click()
    assert heard == ["two"]


def test_what_a_slot_raises_is_kept_for_the_tests(qt: Any) -> None:
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert [type(error) for error in pythonqt.slot_errors] == [ZeroDivisionError]
    pythonqt.slot_errors.clear()


def test_objects_come_back_wrapped_and_are_equal_to_themselves(qt: Any) -> None:
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    button = qt.QPushButton("x")
    layout.addWidget(button)
    assert window.children()[1] == button
    assert isinstance(window.layout(), qt.QVBoxLayout)
    assert not isinstance(button, qt.QVBoxLayout)


def test_a_destroyed_object_says_so(qt: Any) -> None:
    button = qt.QPushButton("x")
    import shiboken6

    shiboken6.delete(button._target)
    assert not button
    with pytest.raises(ValueError, match="destroyed"):
        _ = button.text


def test_a_collapsed_section_hides_and_shows_what_lies_in_it(qt: Any) -> None:
    import ctk  # type: ignore[import-not-found]

    section = ctk.ctkCollapsibleButton()
    layout = qt.QVBoxLayout(section)
    inside, hidden = qt.QLabel("inside"), qt.QLabel("hidden by itself")
    layout.addWidget(inside)
    layout.addWidget(hidden)
    hidden.hide()
    section.show()
    heard: list[bool] = []
    section.connect("contentsCollapsed(bool)", heard.append)
    section.collapsed = True
    assert (section.checked, inside.visible) == (False, False)
    section.collapsed = False
    assert (section.checked, inside.visible, hidden.visible) == (True, True, False)
    assert heard == [True, False]
    with pytest.raises(AttributeError, match="ctkButton"):
        _ = ctk.ctkButton


def test_a_module_is_described_by_known_words_only() -> None:
    parent = scripted_module.ScriptedModuleParent("module.py")
    with pytest.raises(AttributeError, match="caption"):
        parent.caption = "Vertebra Landmarks"
