"""Reads image files of any format: ``read_radiograph``, what it returns and raises."""

from .errors import UnreadableImageError
from .formats import is_dicom, is_image_name
from .radiograph import Millimetres, Radiograph
from .reader import read_radiograph

__all__ = [
    "Millimetres",
    "Radiograph",
    "UnreadableImageError",
    "is_dicom",
    "is_image_name",
    "read_radiograph",
]
