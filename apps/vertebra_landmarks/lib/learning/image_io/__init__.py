"""Image files of any format as radiographs: ``read_radiograph`` and what it returns or raises."""

from .formats import is_dicom, is_image_name
from .radiograph import Millimetres, Radiograph, UnreadableImageError
from .reader import read_radiograph

__all__ = [
    "Millimetres",
    "Radiograph",
    "UnreadableImageError",
    "is_dicom",
    "is_image_name",
    "read_radiograph",
]
