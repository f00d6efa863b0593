"""The Slicer module's copy of the numpy tier, and the script that makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import copy_spine
from copy_spine import COPY, NEEDED, SOURCE, copy, differences, files

pytestmark = pytest.mark.slicer


def test_the_copy_is_its_source_byte_for_byte() -> None:
    assert differences(SOURCE, COPY) == []
    assert {f"{name}.py" for name in NEEDED} <= {path.relative_to(COPY).as_posix() for path in COPY.rglob("*.py")}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A folder like the source, and one for its copy."""
    source = tmp_path / "source"
    source.mkdir()
    for name in NEEDED:
        for path in (source / f"{name}.py", (source / name).with_name("__init__.py")):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b'"""Nothing."""\n')
    (source / "__init__.py").write_bytes(b"")
    (source / "labels" / "markups.py").write_bytes(b"from ..beside import x\n")
    (source / "beside.py").write_bytes(b"")
    (source / "schema.py").write_bytes(b"import math\r\nfrom .deep import x\n")
    (source / "deep.py").write_bytes(b"def f():\n    from . import deeper\n")
    (source / "deeper.py").write_bytes(b"")
    (source / "phantoms.py").write_bytes(b"")
    return source, tmp_path / "copy"


def test_what_is_needed_is_copied_with_all_it_imports(places: tuple[Path, Path]) -> None:
    copy(*places)
    assert files(places[0]) == sorted(path.relative_to(places[1]).as_posix() for path in places[1].rglob("*.py"))
    assert {"deep.py", "deeper.py", "beside.py", "labels/__init__.py"} <= set(files(places[0]))
    assert "phantoms.py" not in files(places[0])
    assert (places[1] / "schema.py").read_bytes() == (places[0] / "schema.py").read_bytes()
    assert differences(*places) == []


def test_what_differs_is_named_and_mended(places: tuple[Path, Path]) -> None:
    copy(*places)
    (places[1] / "schema.py").write_bytes(b"import math\nfrom .deep import x\n")  # another end of a line
    (places[1] / "deep.py").unlink()
    (places[1] / "old.py").write_bytes(b"")
    sentences = " ".join(differences(*places))
    assert "schema.py differs from its source" in sentences
    assert "deep.py is missing" in sentences
    assert "old.py has no source" in sentences
    copy(*places)
    assert differences(*places) == []


def test_a_source_that_needs_more_than_its_folder_is_refused(places: tuple[Path, Path]) -> None:
    (places[0] / "deep.py").write_text("from ..learning import codec\n")
    with pytest.raises(ValueError, match=r"deep\.py imports from above"):
        files(places[0])


def test_the_check_says_what_to_do(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    monkeypatch.setattr(copy_spine, "SOURCE", places[0])
    monkeypatch.setattr(copy_spine, "COPY", places[1])
    monkeypatch.setattr(sys, "argv", ["copy_spine.py", "--check"])
    assert copy_spine.main() == 1
    assert "python scripts/copy_spine.py" in capsys.readouterr().err  # type: ignore[attr-defined]
    copy(*places)
    assert copy_spine.main() == 0


def test_the_copy_works_on_its_own() -> None:
    """In a process that knows neither the app nor the package around the copy."""
    code = (
        "import numpy as np\n"
        "from spine.measurement.cobb import measure_curves\n"
        "from spine.imaging.image_frame import ImageFrame\n"
        "from spine.schema import Spine, VERTEBRAE\n"
        "from spine.labels.markups import to_markups, from_markups\n"
        "x = np.array([0, -10, 10, -10, 10.0]); y = np.array([0, -6, -6, 6, 6.0])\n"
        "xy = np.stack([np.stack([50 + x, 20 + 16 * v + y], -1) for v in range(17)])\n"
        "spine = Spine.from_arrays(xy)\n"
        "assert np.allclose(from_markups(to_markups(spine)).xy, xy)\n"
        "print(measure_curves(ImageFrame(100, 300).upright(spine).visible_xy)[0].angle_deg)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=COPY.parent, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["0.0"]
