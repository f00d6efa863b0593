"""Files whose pixel data is shorter than their header says, of every format: refused as cut short."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image
from pydicom.encaps import encapsulate

from lib.image_io import UnreadableImageError, read_radiograph

from .image_files import COMPRESSED, asymmetric, write_dicom, write_photograph, write_tiff

NOISE = np.random.default_rng(0).integers(0, 90, (96, 64))
WIDE = (asymmetric() + NOISE).astype(np.uint16)
NARROW = (WIDE >> 4).astype(np.uint8)
NO_FRAME = b"\xfe\xff\x00\xe0\0\0\0\0"  # an empty table of offsets and nothing behind it


def half_of_the_file(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    return path


def png_with_fewer_rows(path: Path, rows: int = 50) -> Path:
    """A PNG file whose chunks are whole but whose compressed data hold some of the rows only."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = NARROW.shape[1].to_bytes(4, "big") + NARROW.shape[0].to_bytes(4, "big")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in NARROW[:rows]))
    chunks = chunk(b"IHDR", size + b"\x08\0\0\0\0") + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def jpeg_that_ends_early(path: Path) -> Path:
    """Half of a JPEG file with an end marker behind it."""
    half_of_the_file(write_photograph(path, NARROW, quality=95))
    path.write_bytes(path.read_bytes() + b"\xff\xd9")
    return path


def tiff_with_short_strip(path: Path, compression: str | None, bytes_left: float) -> Path:
    """A TIFF file whose header gives one strip fewer bytes than its rows need."""
    write_tiff(path, NARROW, rowsperstrip=16, compression=compression)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        counts, kind, place = np.array(tag.value), "<u2" if tag.dtype == 3 else "<u4", tag.valueoffset
    counts[2] = int(counts[2] * bytes_left)
    content = bytearray(path.read_bytes())
    content[place : place + counts.astype(kind).nbytes] = counts.astype(kind).tobytes()
    path.write_bytes(content)
    return path


def dicom_with_short_frame(path: Path, compression: str) -> Path:
    pixels = NARROW if compression == "jpeg" else WIDE
    frame = COMPRESSED[compression][1](pixels)
    end = b"" if compression == "rle" else b"\xff\xd9"
    return write_dicom(path, pixels, compression=compression, file_bytes=encapsulate([frame[: len(frame) // 2] + end]))


def nrrd_with_short_gzip(path: Path) -> Path:
    header = "NRRD0004\ntype: uint16\ndimension: 2\nsizes: 64 96\nendian: little\nencoding: gzip\n\n"
    path.write_bytes(header.encode() + gzip.compress(WIDE.tobytes()[:5000]))
    return path


def nifti_with_short_gzip(path: Path) -> Path:
    whole = path.with_name("whole.nii")
    nibabel.Nifti1Image(WIDE.T, np.eye(4)).to_filename(whole)
    path.write_bytes(gzip.compress(whole.read_bytes()[:5000]))
    return path


def itk_file(path: Path, compressed: bool = False) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(WIDE), str(path), useCompression=compressed)
    return path


SHORT: dict[str, Callable[[Path], Path]] = {
    "DICOM, half the rows": lambda p: write_dicom(p / "a.dcm", WIDE, file_bytes=WIDE[:48].tobytes()),
    "DICOM, one row missing": lambda p: write_dicom(p / "a.dcm", WIDE, file_bytes=WIDE[:95].tobytes()),
    "DICOM, empty": lambda p: write_dicom(p / "a.dcm", WIDE, file_bytes=b""),
    "DICOM, RGB": lambda p: write_dicom(p / "a.dcm", np.zeros((9, 9, 3), np.uint8), "RGB", file_bytes=bytes(200)),
    "DICOM, cut file": lambda p: half_of_the_file(write_dicom(p / "a.dcm", WIDE)),
    "DICOM, no frame": lambda p: write_dicom(p / "a.dcm", WIDE, compression="rle", file_bytes=NO_FRAME),
    **{
        f"DICOM {name}, cut file": lambda p, name=name: half_of_the_file(
            write_dicom(p / "a.dcm", NARROW if name == "jpeg" else WIDE, compression=name)
        )
        for name in COMPRESSED
    },
    **{f"DICOM {name}, half a frame": lambda p, n=name: dicom_with_short_frame(p / "a.dcm", n) for name in COMPRESSED},
    "PNG, cut file": lambda p: half_of_the_file(write_photograph(p / "a.png", WIDE)),
    "PNG, fewer rows": lambda p: png_with_fewer_rows(p / "a.png"),
    "JPEG, cut file": lambda p: half_of_the_file(write_photograph(p / "a.jpg", NARROW)),
    "JPEG, early end": lambda p: jpeg_that_ends_early(p / "a.jpg"),
    "BMP, cut file": lambda p: half_of_the_file(write_photograph(p / "a.bmp", NARROW)),
    "TIFF, cut file": lambda p: half_of_the_file(write_tiff(p / "a.tif", WIDE)),
    **{
        f"TIFF {compression}, {words}": lambda p, c=compression, share=share: tiff_with_short_strip(
            p / "a.tif", c, share
        )
        for compression in (None, "lzw", "zlib", "packbits", "jpeg", "jpeg2000")
        for words, share in (("half a strip", 0.5), ("a strip missing", 0))
    },
    "NRRD raw": lambda p: half_of_the_file(itk_file(p / "a.nrrd")),
    "NRRD gzip, cut file": lambda p: half_of_the_file(itk_file(p / "a.nrrd", True)),
    "NRRD gzip, fewer rows": lambda p: nrrd_with_short_gzip(p / "a.nrrd"),
    "NIfTI": lambda p: half_of_the_file(itk_file(p / "a.nii")),
    "NIfTI gzip, cut file": lambda p: half_of_the_file(itk_file(p / "a.nii.gz")),
    "NIfTI gzip, fewer rows": lambda p: nifti_with_short_gzip(p / "a.nii.gz"),
}


@pytest.mark.parametrize("write", SHORT.values(), ids=SHORT.keys())
def test_a_short_file_is_refused_as_cut_short(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    with pytest.raises(UnreadableImageError, match=rf"^{path.name}: .*cut short") as caught:
        read_radiograph(path)
    assert str(tmp_path) not in str(caught.value)


def test_the_sentence_tells_how_much_is_missing(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", WIDE, file_bytes=WIDE[:48].tobytes())
    with pytest.raises(UnreadableImageError, match=r"cut short: the tag PixelData has 6,144 bytes, expected 12,288"):
        read_radiograph(path)


def test_a_jpeg_with_a_black_lower_half_is_whole(tmp_path: Path) -> None:
    pixels = NARROW.copy()
    pixels[40:] = 0
    write_photograph(tmp_path / "a.jpg", pixels, quality=100)
    found = read_radiograph(tmp_path / "a.jpg").pixels
    np.testing.assert_allclose(found.astype(int), np.asarray(Image.open(tmp_path / "a.jpg")).astype(int), atol=1)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_compressed_dicom_keeps_its_pixels(tmp_path: Path, compression: str) -> None:
    pixels = NARROW if compression == "jpeg" else WIDE
    found = read_radiograph(write_dicom(tmp_path / "a.dcm", pixels, compression=compression)).pixels
    np.testing.assert_allclose(found.astype(int), pixels, atol=16 if compression == "jpeg" else 0)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "jpeg2000", "zstd"])
@pytest.mark.parametrize("pixels", [NARROW, WIDE], ids=["8 bits", "16 bits"])
def test_compressed_tiff_keeps_its_pixels(tmp_path: Path, compression: str, pixels: np.ndarray) -> None:
    path = write_tiff(tmp_path / "a.tif", pixels, compression=compression, rowsperstrip=16)
    np.testing.assert_array_equal(read_radiograph(path).pixels, pixels)
