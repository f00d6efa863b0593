"""Input files of commands: images named by paths and folders, and distinct names for their results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...image_io import is_dicom, is_image_name
from ...spine.image_suffixes import image_stem

OVERLAY_SUFFIX = ".overlay.png"


@dataclass(frozen=True)
class InputImage:
    """One image to work on.

    Attributes:
        path: the file.
        name: what tables call it: file name with extension, with its folders where it was found inside a folder.
        stem: begin of the names of its result files, distinct among all images of the call.
    """

    path: Path
    name: str
    stem: str


def find_images(paths: Sequence[Path], excluded: Path | None = None) -> list[InputImage]:
    """List the images behind files and folders.

    Files that are named stand for themselves, whatever they are and even if they are missing. Folders are searched
    with their subfolders for names that end like an image's and for DICOM files under any name; hidden files, DICOMDIR
    and overlays written by this project are passed over. A file that is met twice counts once.

    Args:
        paths: files and folders.
        excluded: a folder that is not searched, such as the one that results go to.

    Returns:
        The images, folders in order of name; a folder without images adds none.
    """
    entries: list[tuple[Path, str]] = []
    seen: set[Path] = set()
    for path in paths:
        members = [(path, path.name)]
        if path.is_dir():
            members = [(file, file.relative_to(path).as_posix()) for file in walk_images(path, excluded)]
        for file, name in members:
            if file.absolute() not in seen:
                seen.add(file.absolute())
                entries.append((file, name))
    names = _distinct_names(entries)
    stems = _distinct_stems(names)
    return [InputImage(file, name, stem) for (file, _), name, stem in zip(entries, names, stems, strict=True)]


def walk_images(
    folder: Path, excluded: Path | None = None, on_error: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """The images in a folder and its subfolders as ``find_images`` finds them, one by one, in order of their paths.

    Args:
        folder: to search; links to other folders are not followed.
        excluded: a folder that is not searched.
        on_error: called with the error where a folder cannot be listed; ``None``: such a folder is passed over.
    """
    yield from _walk(folder, None if excluded is None else excluded.resolve(), on_error)


def _walk(folder: Path, excluded: Path | None, on_error: Callable[[OSError], None] | None) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: os.path.normcase(entry.name))
    except OSError as error:
        if on_error is not None:
            on_error(error)
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if excluded is None or path.resolve() != excluded:
                yield from _walk(path, excluded, on_error)
        elif entry.is_file() and _is_meant(path):
            yield path


def _is_meant(file: Path) -> bool:
    if file.name.endswith(OVERLAY_SUFFIX):
        return False
    if is_image_name(file):
        return True
    try:
        return file.name != "DICOMDIR" and is_dicom(file)
    except OSError:
        return False


def _distinct_names(entries: Iterable[tuple[Path, str]]) -> list[str]:
    """The names; where two files share one, the later gets as many of its parent folders as it takes."""
    taken: set[str] = set()
    names = []
    for file, name in entries:
        parents = [part for part in file.resolve().parent.parts[::-1] if part not in name.split("/")[:-1]]
        for parent in parents:
            if name not in taken:
                break
            name = f"{parent.strip('/') or 'root'}/{name}"
        taken.add(name)
        names.append(name)
    return names


def _distinct_stems(names: Sequence[str]) -> list[str]:
    """File name without extension, numbered where it would repeat (also on disks that ignore case)."""
    plain = [image_stem(name.rsplit("/", 1)[-1]) for name in names]
    taken = set()
    stems = []
    for stem in plain:
        candidate, number = stem, 1
        others = {other.lower() for other in plain} - {stem.lower()}
        while candidate.lower() in taken or (number > 1 and candidate.lower() in others):
            number += 1
            candidate = f"{stem}_{number}"
        taken.add(candidate.lower())
        stems.append(candidate)
    return stems
