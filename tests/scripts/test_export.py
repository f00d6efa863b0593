"""The command line of ``scripts/export.py``: what it refuses, in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import export


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and what is said."""
    status = export.main(list(arguments))
    return status, capsys.readouterr().err


def test_an_existing_folder_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "--output", str(tmp_path)) == (
        2,
        f"{tmp_path} exists; choose a new folder as --output.\n",
    )


def test_missing_weights_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, output = tmp_path / "a.pt", tmp_path / "out"
    said = refusal(capsys, str(weights), "--output", str(output), "--formats", "torchscript")
    assert said == (2, f"There is no weight file {weights}.\n")
    assert not output.exists()


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_bytes(b"no weights")
    said = refusal(capsys, str(tmp_path / "a.pt"), "--output", str(tmp_path / "out"), "--formats", "bundle")
    assert said == (1, "Not exported: a.pt: not a weight file of this project.\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


def test_missing_packages_are_named_with_what_installs_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, said = refusal(capsys, "--output", str(tmp_path / "out"), "--formats", "onnx")
    assert status == 2
    assert said.startswith("onnx, onnxscript and onnxruntime are not installed; `.venv/bin/pip install --no-deps -r ")


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_counts_are_positive(count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export.main(["--output", str(tmp_path / "out"), "--phantoms", count])
    assert f"{count} is not a positive whole number" in capsys.readouterr().err
