"""What files state about themselves: obeyed, warned of where it is contradicted, and named where it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

from lib.image_io import UnreadableImageError, is_dicom, read_radiograph
from lib.image_io.dicom import image as dicom_image
from lib.image_io.square_pixels import resampled_to_square
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from lib.spine.measurement.image_warnings import CONTRADICTION, OTHER_VIEW, POLARITY

from .image_files import asymmetric, lut, write_dicom, write_photograph, write_tiff, write_volume

WIDE = asymmetric()
NARROW = (WIDE >> 4).astype(np.uint8)
TURNED = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'


def warnings_of(path: Path) -> list[tuple[str, str]]:
    return [(warning.code, warning.message) for warning in read_radiograph(path).warnings]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("value", [None, 0, 1, 9])
def test_the_default_and_nonsense_state_no_orientation(tmp_path: Path, name: str, value: int | None) -> None:
    write = write_tiff if name.endswith("tif") else write_photograph
    radiograph = read_radiograph(write(tmp_path / name, NARROW, value))
    assert (radiograph.orientation, radiograph.orientation_source) == (None, "none")


@pytest.mark.parametrize(
    ("name", "source"), [("a.png", "EXIF"), ("a.jpg", "EXIF"), ("a.tif", "TIFF")], ids=["PNG", "JPEG", "TIFF"]
)
@pytest.mark.parametrize("value", range(2, 9))
def test_the_source_of_an_orientation_is_named(tmp_path: Path, name: str, source: str, value: int) -> None:
    write = write_tiff if name.endswith("tif") else write_photograph
    radiograph = read_radiograph(write(tmp_path / name, NARROW, value))
    assert radiograph.orientation == EXIF_ORIENTATIONS[value]
    assert radiograph.orientation_source == f"{source} Orientation {value}"
    assert radiograph.pixels.shape == NARROW.shape


def test_exif_may_stand_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    content = write_photograph(tmp_path / "a.png", WIDE, 6).read_bytes()
    begin = content.index(b"eXIf") - 4
    end = begin + 12 + int.from_bytes(content[begin : begin + 4], "big")
    last = content.index(b"IEND") - 4
    assert end < last
    moved = content[:begin] + content[end:last] + content[begin:end] + content[last:]
    (tmp_path / "b.png").write_bytes(moved)
    assert read_radiograph(tmp_path / "b.png").orientation == EXIF_ORIENTATIONS[6]


def test_xmp_states_the_orientation_where_exif_does_not(tmp_path: Path) -> None:
    Image.fromarray(NARROW).save(tmp_path / "a.jpg", xmp=TURNED)
    radiograph = read_radiograph(tmp_path / "a.jpg")
    assert radiograph.orientation == EXIF_ORIENTATIONS[8]


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_of_contradicting_orientations_the_first_is_obeyed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("jpg"):
        write_photograph(path, NARROW, 6, xmp=TURNED)
    else:
        extra = [(274, "H", 1, 6, True), (700, "B", len(TURNED), TURNED, True)]
        tifffile.imwrite(path, NARROW, extratags=extra, metadata=None, photometric="minisblack")
    assert read_radiograph(path).orientation == EXIF_ORIENTATIONS[6]
    ((code, message),) = warnings_of(path)
    first = "EXIF" if name.endswith("jpg") else "TIFF"
    assert code == CONTRADICTION
    assert message == f"{first} Orientation is 6 but XMP Orientation is 8; {first} Orientation was obeyed"


DICOM_ORIENTATIONS: dict[str, tuple[dict[str, Any], Orientation | None, str, str | None]] = {
    "upright": ({"PatientOrientation": ["L", "F"]}, UPRIGHT, "PatientOrientation L\\F", "right"),
    "from the back": ({"PatientOrientation": ["R", "F"]}, UPRIGHT, "PatientOrientation R\\F", "left"),
    "half turn": ({"PatientOrientation": ["R", "H"]}, Orientation(2), "PatientOrientation R\\H", "right"),
    "upside down": ({"PatientOrientation": ["L", "H"]}, Orientation(2, True), "PatientOrientation L\\H", "right"),
    "feet along the rows": ({"PatientOrientation": ["F", "R"]}, Orientation(1), "PatientOrientation F\\R", "right"),
    "oblique": ({"PatientOrientation": ["LP", "FA"]}, UPRIGHT, "PatientOrientation LP\\FA", "right"),
    "vectors": ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, UPRIGHT, "ImageOrientationPatient", "right"),
    "vectors, half turn": (
        {"ImageOrientationPatient": [-1, 0, 0, 0, 0, 1]},
        Orientation(2),
        "ImageOrientationPatient",
        "right",
    ),
    "vectors by default": ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, None, "none", None),
    "axial plane": ({"PatientOrientation": ["R", "A"]}, None, "none", "left"),
    "a row only": ({"PatientOrientation": ["L"]}, None, "none", "right"),
    "the same axis twice": ({"PatientOrientation": ["F", "H"]}, None, "none", None),
    "nothing": ({}, None, "none", None),
}


@pytest.mark.parametrize(
    ("tags", "orientation", "source", "side"), DICOM_ORIENTATIONS.values(), ids=DICOM_ORIENTATIONS.keys()
)
def test_dicom_tags_state_the_orientation(
    tmp_path: Path, tags: dict[str, Any], orientation: Orientation | None, source: str, side: str | None
) -> None:
    radiograph = read_radiograph(write_dicom(tmp_path / "a.dcm", WIDE, **tags))
    assert radiograph.orientation == orientation
    assert radiograph.orientation_source == source
    assert radiograph.image_left_is == side


def test_patient_orientation_is_obeyed_rather_than_contradicting_vectors(tmp_path: Path) -> None:
    tags = {"PatientOrientation": ["L", "H"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
    path = write_dicom(tmp_path / "a.dcm", WIDE, **tags)
    assert read_radiograph(path).orientation == Orientation(2, True)
    ((code, message),) = warnings_of(path)
    assert code == CONTRADICTION
    assert "PatientOrientation L\\H" in message
    assert "1\\0\\0\\0\\0\\-1" in message
    assert message.endswith("PatientOrientation was obeyed")


@pytest.mark.parametrize(("has_qform", "expected"), [(False, None), (True, Orientation(2))])
def test_the_identity_of_numpy_writers_states_nothing(
    tmp_path: Path, has_qform: bool, expected: Orientation | None
) -> None:
    """In RAS it would be a half turn; programs that mean one write a qform."""
    image = nibabel.Nifti1Image(WIDE.T, np.diag([0.2, 0.2, 1, 1]))
    if has_qform:
        image.set_qform(image.affine, 1)
    image.to_filename(tmp_path / "a.nii")
    assert read_radiograph(tmp_path / "a.nii").orientation == expected


def test_a_sagittal_plane_is_read_with_a_warning(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "a.nrrd", WIDE, (0, 1, 0), (0, 0, 1), axes=(1, 2))
    radiograph = read_radiograph(path)
    assert radiograph.orientation == Orientation(2)
    assert radiograph.image_left_is is None
    assert [warning.code for warning in radiograph.warnings] == [OTHER_VIEW]


VIEWS: dict[str, tuple[dict[str, Any], str | None]] = {
    "view": ({"ViewPosition": "LL"}, "ViewPosition is LL, expected AP or PA"),
    "lying": ({"ViewPosition": "LLD"}, "ViewPosition is LLD"),
    "rows to the front": ({"PatientOrientation": ["A", "F"]}, "PatientOrientation A\\F"),
    "rows to the back, no column": ({"PatientOrientation": ["P", ""]}, "PatientOrientation is P\\, expected L or R"),
    "hand": ({"BodyPartExamined": "HAND"}, "BodyPartExamined is HAND"),
    "chest": ({"BodyPartExamined": "CHEST"}, "BodyPartExamined is CHEST"),
    "skull": ({"BodyPartExamined": "skull"}, "BodyPartExamined is SKULL"),
    "frontal": ({"ViewPosition": "AP", "PatientOrientation": ["L", "F"], "BodyPartExamined": "TSPINE"}, None),
    "whole spine": ({"BodyPartExamined": "CHEST_TO_PELVIS SPINE"}, None),
    "unknown part": ({"BodyPartExamined": "LSSP"}, None),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize(("tags", "words"), VIEWS.values(), ids=VIEWS.keys())
def test_the_header_of_another_view_is_warned_of(tmp_path: Path, tags: dict[str, Any], words: str | None) -> None:
    found = warnings_of(write_dicom(tmp_path / "a.dcm", WIDE, **tags))
    if words is None:
        assert found == []
    else:
        ((code, message),) = found
        assert code == OTHER_VIEW
        assert words in message


FALLING = lut(np.arange(5000)[::-1])
DOUBTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "for processing without a sign": (
        {"PresentationIntentType": "FOR PROCESSING"},
        POLARITY,
        "RelationshipSign is abs",
    ),
    "no photometric interpretation": ({"photometric": ""}, POLARITY, "PhotometricInterpretation is absent"),
    "two inversions": (
        {"photometric": "MONOCHROME1", "VOILUTSequence": [FALLING]},
        CONTRADICTION,
        "VOILUTSequence falls and PhotometricInterpretation is MONOCHROME1; both were obeyed",
    ),
    "inverse of MONOCHROME2": (
        {"PresentationLUTShape": "INVERSE"},
        CONTRADICTION,
        "MONOCHROME2 but PresentationLUTShape is INVERSE; the latter was obeyed",
    ),
    "identity of MONOCHROME1": (
        {"photometric": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
        CONTRADICTION,
        "PhotometricInterpretation is MONOCHROME1; the latter was obeyed",
    ),
    "sign against presentation": (
        {"PixelIntensityRelationshipSign": 1, "PresentationIntentType": "FOR PRESENTATION"},
        CONTRADICTION,
        "PhotometricInterpretation was obeyed",
    ),
    "sign against MONOCHROME1": (
        {
            "photometric": "MONOCHROME1",
            "PixelIntensityRelationshipSign": -1,
            "PresentationIntentType": "FOR PROCESSING",
        },
        CONTRADICTION,
        "PixelIntensityRelationshipSign was obeyed",
    ),
    "values beyond the bits": ({"BitsStored": 10}, CONTRADICTION, "BitsStored is 10 but the values reach 4060"),
    "high bit that the values contradict": (
        {"BitsStored": 13, "HighBit": 15},
        CONTRADICTION,
        "HighBit is 15 but the values lie below bit 13",
    ),
    "sign that the values contradict": (
        {"BitsStored": 12, "PixelRepresentation": 1},
        CONTRADICTION,
        "PixelRepresentation is 1 (signed) but the values are unsigned, up to 4060",
    ),
}


@pytest.mark.parametrize(("tags", "code", "words"), DOUBTS.values(), ids=DOUBTS.keys())
def test_what_is_contradicted_or_not_stated_is_warned_of(
    tmp_path: Path, tags: dict[str, Any], code: str, words: str
) -> None:
    ((found, message),) = warnings_of(write_dicom(tmp_path / "a.dcm", WIDE, **tags))
    assert found == code
    assert words in message
    assert message.startswith("DICOM tag ")


def test_graphics_in_unused_bits_are_no_image(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(120), 20 * np.arange(90)).astype(np.uint16)
    drawn = smooth.copy()
    drawn[20:60:4, 10:50:3] |= 0x8000
    path = write_dicom(tmp_path / "a.dcm", drawn, BitsStored=12)
    np.testing.assert_array_equal(read_radiograph(path).pixels, smooth)
    assert "BitsStored is 12 but the values reach" in warnings_of(path)[0][1]


def test_a_rising_voi_lut_states_the_polarity_of_an_image_for_processing(tmp_path: Path) -> None:
    tags = {"PresentationIntentType": "FOR PROCESSING", "VOILUTSequence": [lut(np.arange(5000))]}
    path = write_dicom(tmp_path / "a.dcm", WIDE, **tags)
    assert warnings_of(path) == []
    np.testing.assert_array_equal(read_radiograph(path).pixels, WIDE)


def test_a_tiff_without_photometric_interpretation_is_warned_of(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", NARROW)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags["PhotometricInterpretation"].offset
    content = bytearray(path.read_bytes())
    content[place : place + 2] = (0x0108).to_bytes(2, "little")  # CellWidth
    path.write_bytes(content)
    assert [code for code, _ in warnings_of(path)] == [POLARITY]


def test_padding_in_the_middle_of_the_image_is_image(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", WIDE, PixelPaddingValue=int(WIDE.max()))
    np.testing.assert_array_equal(read_radiograph(path).pixels, WIDE)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "frames": ({"NumberOfFrames": 3}, "NumberOfFrames is 3"),
    "bits allocated": ({"BitsAllocated": 12}, "BitsAllocated is 12, expected 8, 16 or 32"),
    "bits stored": ({"BitsStored": 20}, "BitsStored is 20, expected 1 to BitsAllocated, which is 16"),
    "high bit": ({"BitsStored": 10, "HighBit": 4}, "HighBit is 4, expected 9 to 15"),
    "samples": ({"SamplesPerPixel": 4}, "SamplesPerPixel is 4, expected 1 or 3"),
    "photometric": ({"photometric": "HSV"}, "PhotometricInterpretation is HSV, expected MONOCHROME1"),
    "rows": ({"Rows": 0}, "Rows is 0, expected a positive number"),
    "modality LUT": ({"ModalityLUTSequence": [lut(np.arange(9)[:0])]}, "ModalityLUTSequence is damaged"),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize(("tags", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_names_the_tag_its_value_and_what_is_expected(
    tmp_path: Path, tags: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnreadableImageError, match=words):
        read_radiograph(write_dicom(tmp_path / "a.dcm", WIDE, **tags))


def test_a_transfer_syntax_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", NARROW, compression="jpeg")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.99"))
    with pytest.raises(UnreadableImageError, match=r"TransferSyntaxUID is 1\.2\.840\.10008\.1\.2\.4\.99 .*expected"):
        read_radiograph(path)


@pytest.mark.parametrize("begin", [128 + 4, 128 + 4 + 12])
def test_dicom_without_preamble_is_read(tmp_path: Path, begin: int) -> None:
    """With its group of file information or from somewhere in it."""
    path = write_dicom(tmp_path / "whole.dcm", WIDE)
    content = path.read_bytes()
    if begin > 132:
        begin = content.index(b"\x08\0\x16\0UI")
    bare = tmp_path / "IM0001"
    bare.write_bytes(content[begin:])
    assert is_dicom(bare)
    np.testing.assert_array_equal(read_radiograph(bare).pixels, WIDE)


FOREIGN = {
    "PDF": (b"%PDF-1.7\n", "is a PDF document, expected PNG, JPEG, TIFF"),
    "GIF": (b"GIF89a", "is a GIF image"),
    "WebP": (b"RIFF\x24\0\0\0WEBPVP8 ", "is a WebP image"),
    "HEIC": (b"\0\0\0\x18ftypheic", "is a HEIC image"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 image"),
    "JPEG 2000 codestream": (b"\xff\x4f\xff\x51", "is a JPEG 2000 image"),
    "ZIP": (b"PK\x03\x04", "is a ZIP archive"),
    "gzip": (b"\x1f\x8b\x08\0", "is a gzip archive"),
    "text": (b"Dear colleague,", "not an image in a known format, expected PNG"),
}


@pytest.mark.parametrize(("begin", "words"), FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a"])
def test_what_is_no_radiograph_is_called_what_it_is(tmp_path: Path, name: str, begin: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(begin + bytes(400))
    expected = "no image, or is cut short" if name == "a.dcm" and words.startswith("not") else words
    with pytest.raises(UnreadableImageError, match=expected):
        read_radiograph(tmp_path / name)


@pytest.mark.parametrize("name", ["a.dcm", "a.tif", "a"])
def test_the_content_decides_and_not_the_name(tmp_path: Path, name: str) -> None:
    write_photograph(tmp_path / "b.png", WIDE)
    (tmp_path / "b.png").rename(tmp_path / name)
    np.testing.assert_array_equal(read_radiograph(tmp_path / name).pixels, WIDE)


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize("first", ["thumbnail", "image"])
def test_a_thumbnail_page_is_passed_over(tmp_path: Path, is_marked: bool, first: str) -> None:
    pages = [(WIDE[::4, ::4], {"subfiletype": 1 if is_marked else 0}), (WIDE, {})]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for pixels, options in pages if first == "thumbnail" else pages[::-1]:
            file.write(pixels, photometric="minisblack", metadata=None, **options)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.tif").pixels, WIDE)


def test_several_pages_of_full_size_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([WIDE, WIDE]), photometric="minisblack")
    with pytest.raises(UnreadableImageError, match="expected one radiograph, got 2 pages of full size"):
        read_radiograph(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGB", "LA", "RGBA"])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_colour_and_alpha_of_16_bits_keep_them(tmp_path: Path, name: str, mode: str) -> None:
    channels = [WIDE] * (1 if mode == "LA" else 3) + [np.full_like(WIDE, 65535)] * mode.count("A")
    samples = np.stack(channels, -1)
    if name.endswith("png"):
        (tmp_path / name).write_bytes(imagecodecs.png_encode(samples))
    else:
        extra = ["unassalpha"] if "A" in mode else None
        photometric = "minisblack" if mode == "LA" else "rgb"
        tifffile.imwrite(tmp_path / name, samples, photometric=photometric, extrasamples=extra, planarconfig="contig")
    np.testing.assert_array_equal(read_radiograph(tmp_path / name).pixels, WIDE)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_colour_dicom_becomes_luminance(tmp_path: Path, photometric: str, planar: int) -> None:
    samples = np.stack([NARROW] * 3, -1)
    if photometric != "RGB":
        samples[..., 1:] = 128
    data = np.moveaxis(samples, -1, 0).tobytes() if planar else samples.tobytes()
    path = write_dicom(tmp_path / "a.dcm", samples, photometric, PlanarConfiguration=planar, file_bytes=data)
    np.testing.assert_array_equal(read_radiograph(path).pixels, NARROW)


def test_a_palette_of_dicom_is_looked_up(tmp_path: Path) -> None:
    tags: dict[str, Any] = {}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
    path = write_dicom(tmp_path / "a.dcm", NARROW, "PALETTE COLOR", **tags)
    np.testing.assert_array_equal(read_radiograph(path).pixels, (255 - NARROW.astype(np.uint16)) * 257)


def test_a_nrrd_header_that_names_another_file_is_refused(tmp_path: Path) -> None:
    """It could be any file of the computer, another patient's among them."""
    (tmp_path / "other.raw").write_bytes(WIDE.tobytes())
    header = (
        "NRRD0004\ntype: uint16\ndimension: 2\nsizes: 64 96\nendian: little\nencoding: raw\ndata file: other.raw\n\n"
    )
    (tmp_path / "a.nrrd").write_text(header, encoding="ascii")
    with pytest.raises(
        UnreadableImageError, match=r"'data file' is 'other\.raw', expected the pixels in the file itself"
    ):
        read_radiograph(tmp_path / "a.nrrd")


@pytest.mark.parametrize(("words", "marker", "bits"), [("lossless", 0xC3, 8), ("with 12 bits", 0xC1, 12)])
def test_an_unusual_jpeg_is_called_what_it_is(tmp_path: Path, words: str, marker: int, bits: int) -> None:
    path = write_photograph(tmp_path / "a.jpg", NARROW)
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xc0")
    content[place + 1], content[place + 4] = marker, bits
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=words):
        read_radiograph(path)


def test_a_complex_tiff_is_refused_with_its_tags(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", WIDE.astype(np.complex64), photometric="minisblack")
    with pytest.raises(UnreadableImageError, match=r"SampleFormat and BitsPerSample are .* expected real numbers"):
        read_radiograph(tmp_path / "a.tif")


def test_a_deflated_dicom_file_is_read_unless_it_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", WIDE))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.dcm").pixels, WIDE)
    monkeypatch.setattr(dicom_image, "MAX_PIXELS", 1000)
    with pytest.raises(UnreadableImageError, match="the deflated dataset has more than 4,000 bytes"):
        read_radiograph(tmp_path / "a.dcm")


def test_pixels_of_nifti_begin_near_its_header(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "a.nii", WIDE, (1, 0, 0), (0, 1, 0))
    content = bytearray(path.read_bytes())
    content[108:112] = np.float32(1e9).tobytes()
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match="vox_offset is 1000000000, expected at most"):
        read_radiograph(path)


def test_what_is_read_cannot_be_changed(tmp_path: Path) -> None:
    """Requests share the radiographs that a cache keeps."""
    pixels = read_radiograph(write_photograph(tmp_path / "a.png", NARROW)).pixels
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_a_nifti_file_needs_its_name(tmp_path: Path) -> None:
    write_volume(tmp_path / "b.nii", WIDE, (1, 0, 0), (0, 1, 0))
    (tmp_path / "b.nii").rename(tmp_path / "a.png")
    with pytest.raises(UnreadableImageError, match=r"a NIfTI image, expected a name that ends in \.nii"):
        read_radiograph(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("tags", "aspect"),
    [
        ({"PixelSpacing": [0.3, 0.2]}, 2 / 3),
        ({"PixelSpacing": [0.2, 0.2001]}, 1.0),  # rounding
        ({"PixelAspectRatio": [4, 5]}, 1.25),
        ({"PixelSpacing": [0.2, 0.25], "ImagerPixelSpacing": [0.4, 0.5], "PixelAspectRatio": [4, 5]}, 1.25),
        ({"PixelAspectRatio": [4, 0]}, 1.0),  # malformed
        ({"PixelSpacing": [0.2]}, 1.0),
    ],
)
def test_pixels_that_are_not_square_are_measured_as_they_are(
    tmp_path: Path, tags: dict[str, list[float]], aspect: float
) -> None:
    radiograph = read_radiograph(write_dicom(tmp_path / "a.dcm", WIDE, **tags))
    assert radiograph.frame.pixel_aspect == pytest.approx(aspect)
    assert radiograph.warnings == ()


def test_contradicting_shapes_of_pixels_are_warned_of(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", WIDE, ImagerPixelSpacing=[0.2, 0.2], PixelAspectRatio=[4, 5])
    ((code, message),) = warnings_of(path)
    assert code == CONTRADICTION
    assert message == (
        "DICOM tag ImagerPixelSpacing (pixels that are square) and DICOM tag PixelAspectRatio (pixels that are "
        "1.25 times as wide as high) contradict each other; DICOM tag ImagerPixelSpacing was obeyed"
    )
    assert read_radiograph(path).frame.pixel_aspect == 1.0


@pytest.mark.parametrize(
    ("sizes", "times"), [([0.1, 1.0], "10 times as wide as high"), ([1.0, 0.1], "10 times as high as wide")]
)
def test_a_shape_that_no_radiograph_has_is_not_believed(tmp_path: Path, sizes: list[float], times: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", WIDE, PixelSpacing=sizes)
    ((code, message),) = warnings_of(path)
    assert code == "pixels_not_square"
    assert message.startswith(f"DICOM tag PixelSpacing states pixels that are {times}")
    assert read_radiograph(path).frame.pixel_aspect == 1.0


@pytest.mark.parametrize("sizes", [["1e300", "1e-300"], ["1e-300", "1e300"]])
def test_a_shape_beyond_all_numbers_is_not_believed(tmp_path: Path, sizes: list[str]) -> None:
    path = write_dicom(tmp_path / "a.dcm", WIDE, PixelSpacing=sizes, ImagerPixelSpacing=[0.1, 0.1])
    assert read_radiograph(path).frame.pixel_aspect == 1.0
    assert [code for code, _ in warnings_of(path)] == ["pixels_not_square", CONTRADICTION]


@pytest.mark.parametrize("kind", ["<f8", "<f4", "<u4", "<i4", "<u2", "|u1"])
def test_pixels_of_any_type_are_resampled_to_square_ones(kind: str) -> None:
    """In proportion: a ramp over a small part of what the type can hold stays one."""
    first = {"<f8": 1e12, "<u4": 2**31, "<i4": -(2**31)}.get(kind, 7)
    rows = np.linspace(0, 200, 51).astype(kind)
    found = resampled_to_square(np.repeat((rows + np.array(first, kind))[:, None], 40, axis=1), 1.25)
    assert found.shape == (45, 44)
    assert np.isfinite(found).all()
    ramp = (found.astype(np.float64) - first)[2:-2, 20]
    np.testing.assert_allclose(np.diff(ramp), 4 * 1.25**0.5, atol=1.01 if kind in ("<u2", "|u1") else 0.51)


def test_the_largest_numbers_are_resampled_without_overflow() -> None:
    pixels = np.full((20, 20), np.finfo(np.float64).max)
    pixels[:10] *= -1
    found = resampled_to_square(pixels, 0.8)
    assert np.isfinite(found).all()
    assert (found[0, 0], found[-1, 0]) == (-pixels[-1, 0], pixels[-1, 0])


@pytest.mark.parametrize("places", [[0], [100, 2000]])
def test_a_voi_lut_that_falls_but_for_single_entries_falls(tmp_path: Path, places: list[int]) -> None:
    table = np.arange(5000)[::-1].copy()
    table[places] = 0
    path = write_dicom(tmp_path / "a.dcm", 4999 - WIDE, VOILUTSequence=[lut(table)])
    assert np.corrcoef(read_radiograph(path).pixels.ravel(), WIDE.ravel())[0, 1] > 0.99


def test_a_float_tiff_with_a_lowest_value_for_no_data_keeps_its_gray_values(tmp_path: Path) -> None:
    values = 5000 - WIDE.astype(np.float32)
    values[:, :8] = np.finfo(np.float32).min
    read = read_radiograph(write_tiff(tmp_path / "a.tif", values, photometric="miniswhite")).pixels
    assert np.corrcoef(read[:, 8:].ravel(), WIDE[:, 8:].ravel())[0, 1] > 0.999
