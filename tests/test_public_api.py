"""The package for notebooks: installed as docs/API.md says, its examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import lib
from lib.phantoms import PhantomSpec, render_phantom

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "API.md"
PREAMBLE = """
import os, site, sys
for folder in sys.argv[1:2]:
    site.addsitedir(folder)
import numpy as np
from PIL import Image
image_file, folder = sys.argv[2], os.path.dirname(sys.argv[2])
pixels = np.asarray(Image.open(image_file))
"""
CHECK = """
assert points.shape == (17, 5, 2) and np.isfinite(points).all()
center = corrected.spine["T8"].center
assert (center.x, center.y) == (x + 2, y) and "forward" in first.seconds and "forward" not in corrected.seconds
assert set(largest) == {"phantom.png"} and largest["phantom.png"] > 10
assert "torch" in sys.modules and not {"monai", "monailabel"} & set(sys.modules)
"""


def test_every_public_name_is_there_and_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in lib.__all__:
        assert getattr(lib, name) is not None
        assert name == "__version__" or f"`{name}`" in text
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lib.nothing


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import lib, sys; assert not {'torch', 'numpy', 'monai'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "apps" / "vertebra_landmarks")


@pytest.mark.slow
def test_the_examples_run_with_the_package_installed(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    Image.fromarray(render_phantom(PhantomSpec(800, 400, seed=5)).pixels).save(studies / "phantom.png")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    environment = {**os.environ, "PIP_NO_INDEX": "1"}
    subprocess.run([*install, "--prefix", tmp_path / "prefix", "-e", ROOT], check=True, env=environment)
    (packages,) = (tmp_path / "prefix").rglob("site-packages")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    code = PREAMBLE + "".join(blocks) + CHECK
    command = [sys.executable, "-c", code, packages, studies / "phantom.png"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "overlay.png").is_file()
    assert (tmp_path / "landmarks.mrk.json").is_file()
    assert re.search(r"T\d+ to [TL]\d+: \d+\.\d° to the (left|right)", run.stdout)
