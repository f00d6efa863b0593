"""How the names of image files end, in lower case: one table for files, uploads and the Slicer module."""

from __future__ import annotations

from pathlib import Path

RASTER_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DICOM_SUFFIXES = (".dcm", ".dicom")
NRRD_SUFFIXES = (".nrrd",)
NIFTI_SUFFIXES = (".nii", ".nii.gz")
IMAGE_SUFFIXES = (*RASTER_SUFFIXES, *DICOM_SUFFIXES, *NRRD_SUFFIXES, *NIFTI_SUFFIXES)
"""What is taken for an image when a folder is listed; a DICOM file may have any name."""


def image_suffix(name: str) -> str:
    """The end of a file's name that says which kind of image it is, in lower case; "" if none does."""
    return max((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")


def image_stem(name: str) -> str:
    """A file's name without the suffix of an image; the whole name where it has none, or nothing else."""
    return name[: len(name) - len(image_suffix(name))] or name


def file_stem(path: str) -> str:
    """The name of a file without folders and without its extension, also where that is none of an image."""
    name = Path(path).name
    return image_stem(name) if image_suffix(name) else Path(name).stem
