"""Readers of images whose bodies are marked but not named."""

from pathlib import Path

import numpy as np
import pytest

from lib.learning.training.teaching.unnamed_images import read_quads, read_strips, spread

QUADS = "image,k_from_top,TL_x,TL_y,TR_x,TR_y,BL_x,BL_y,BR_x,BR_y\n"


def test_strips_have_the_middles_of_their_boxes_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(
        "image,width,height,k_from_top,x0,y0,x1,y1\nfr_012.jpg,90,300,2,10,40,30,60\nfr_012.jpg,90,300,1,12,10,32,30\n"
    )
    (image,) = read_strips(tmp_path)
    assert image.path == tmp_path / "fr_012.jpg"
    assert image.fold == 1
    np.testing.assert_allclose(image.marks, [(22, 20), (20, 50)])


def test_the_bias_of_quadrangles_is_taken_back(tmp_path: Path) -> None:
    rows = [f"0{k}.jpg,1,10,20,30,20,10,40,30,40\n0{k}.jpg,2,10,50,30,50,10,70,30,70\n" for k in range(4)]
    (tmp_path / "corners.csv").write_text(QUADS + "".join(rows))
    images = read_quads(tmp_path)
    assert [image.path.name for image in images] == ["00.jpg", "01.jpg", "02.jpg", "03.jpg"]
    assert images[0].fold is None
    np.testing.assert_allclose(images[0].marks, [(20 - 0.25 * 20, 30 - 0.31 * 20), (15, 60 - 6.2)])
    assert [image.path.name for image in spread(images, 2)] == ["00.jpg", "03.jpg"]
    assert len(spread(images, 9)) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,k_from_top,TL_x\n", "missing columns BL_x"),
        (QUADS + "a.jpg,1,2,x,3,4,5,6,7,8\n", "is no quadrangle"),
        (QUADS + "a.jpg,1,2,nan,3,4,5,6,7,8\n", "is no quadrangle"),
        (QUADS + "a.jpg,1,2\n", "is no quadrangle"),
    ],
)
def test_tables_that_are_not_right_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "corners.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_quads(tmp_path)
