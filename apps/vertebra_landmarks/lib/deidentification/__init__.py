"""De-identified copies of images: new names, new UIDs, shifted dates, and headers without what identifies a patient."""

from .image_copy import copy_image
from .pseudonyms import Pseudonyms

__all__ = ["Pseudonyms", "copy_image"]
