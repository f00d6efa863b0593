"""Damaged image files from a seed, read in processes of their own: none may crash or show what another file holds.

Run many of them with

    PYTHONPATH=apps/vertebra_landmarks python tests/image_io/mutations.py --count 2000 --seed 0
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
APP = HERE.parents[2] / "apps" / "vertebra_landmarks"
CANARY = 0xA5C3
"""The one value of the image that is read before every damaged one; no other file holds it often."""
_MAX_CANARY_SHARE = 0.01
_MAX_MEMORY_BYTES = 6_000_000_000
_TIMEOUT_S = 60
_FILES_PER_PROCESS = 250
_HEAD_BYTES = 600


def write_sound_files(folder: Path) -> list[Path]:
    """One small file of every format and compression that can be read."""
    import nibabel
    import SimpleITK as sitk

    if __package__:
        from .image_files import COMPRESSED, asymmetric, write_dicom, write_photograph, write_tiff, write_volume
    else:  # run as a command
        from image_files import COMPRESSED, asymmetric, write_dicom, write_photograph, write_tiff, write_volume

    wide = asymmetric(80, 56)
    noise = np.random.default_rng(1).integers(0, 40, wide.shape)
    wide = (wide + noise).astype(np.uint16)
    narrow = (wide >> 4).astype(np.uint8)
    color = np.stack([narrow, narrow[::-1], narrow], -1)
    files = [
        write_photograph(folder / "gray8.png", narrow),
        write_photograph(folder / "gray16.png", wide, 6),
        write_photograph(folder / "color.png", color),
        write_photograph(folder / "gray.jpg", narrow, 3),
        write_photograph(folder / "progressive.jpg", color, quality=90, progressive=True),
        write_photograph(folder / "gray.bmp", narrow),
        write_tiff(folder / "strips.tif", wide, 8, rowsperstrip=16),
        write_tiff(folder / "float.tif", wide.astype(np.float32), photometric="miniswhite"),
        write_tiff(folder / "color.tif", color, photometric="rgb", tile=(32, 32), compression="zlib"),
        *(
            write_tiff(folder / f"{name}.tif", narrow, rowsperstrip=16, compression=name)
            for name in ("lzw", "zlib", "packbits", "jpeg", "jpeg2000")
        ),
        write_tiff(folder / "predictor.tif", wide, compression="zlib", predictor=2),
        write_dicom(folder / "plain.dcm", wide, "MONOCHROME1", BitsStored=13, PixelPaddingValue=0),
        write_dicom(folder / "color.dcm", color, "RGB"),
        *(
            write_dicom(folder / f"{name}.dcm", narrow if name == "jpeg" else wide, compression=name)
            for name in COMPRESSED
        ),
        write_volume(folder / "coronal.nii", wide, (1, 0, 0), (0, 0, -1), axes=(0, 2)),
        write_volume(folder / "raster.nii.gz", wide, (1, 0, 0), (0, -1, 0)),
        write_volume(folder / "gzip.nrrd", wide, (1, 0, 0), (0, 1, 0)),
    ]
    raw, scaled = folder / "raw.nrrd", folder / "scaled.nii"
    sitk.WriteImage(sitk.GetImageFromArray(wide), str(raw), useCompression=False)
    image = nibabel.Nifti1Image(wide.T, np.diag([-1.0, -1, 1, 1]))
    image.header.set_slope_inter(0.5, 3)
    image.to_filename(scaled)
    return [*files, raw, scaled]


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The content with bytes flipped, cut off, left out, repeated or inserted, or with another length in its header."""
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        span = len(changed) if random.random() < 0.5 else min(len(changed), _HEAD_BYTES)
        at = int(random.integers(0, max(1, span)))
        length = int(random.integers(1, 64))
        kind = random.choice(["flip", "cut", "drop", "repeat", "insert", "length"])
        if kind == "flip":
            for place in random.integers(0, max(1, span), int(random.integers(1, 9))):
                changed[place] ^= int(random.integers(1, 256))
        elif kind == "cut":
            del changed[max(8, int(random.integers(0, len(changed)))) :]
        elif kind == "drop":
            del changed[at : at + length]
        elif kind == "repeat":
            changed[at:at] = changed[at : at + length]
        elif kind == "insert":
            changed[at:at] = random.integers(0, 256, length, np.uint8).tobytes()
        else:
            size = int(random.choice([2, 4]))
            value = int(random.choice([0, 1, 255, 4096, 65535, 1 << 20, (1 << 31) - 1, (1 << 32) - 1]))
            order = "little" if random.random() < 0.5 else "big"
            changed[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, order)
        if len(changed) < 9:
            break
    return bytes(changed)


def write_mutations(folder: Path, sound: list[Path], count: int, seed: int) -> list[Path]:
    """Damaged copies of sound files, the same ones for the same seed."""
    random = np.random.default_rng(seed)
    contents = [path.read_bytes() for path in sound]
    files = []
    for number in range(count):
        source = sound[number % len(sound)]
        suffix = "".join(source.suffixes)
        path = folder / f"{number:05d}_{source.name.removesuffix(suffix)}{suffix}"
        path.write_bytes(mutated(contents[number % len(sound)], random))
        files.append(path)
    return files


def read_all(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Read files in processes of their own; a file that ends its process is told as a crash."""
    left = list(files)
    while left:
        batch = left[:_FILES_PER_PROCESS]
        outcomes = _read_batch(batch)
        if len(outcomes) < len(batch):
            outcomes.append({"file": batch[len(outcomes)].name, "outcome": "crash"})
        yield from outcomes
        left = left[len(outcomes) :]


def _read_batch(batch: list[Path]) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--worker", *map(str, batch)]
    with tempfile.TemporaryFile("w+") as output:
        subprocess.run(command, stdout=output, stderr=subprocess.DEVNULL, check=False)
        output.seek(0)
        return [json.loads(line) for line in output if line.startswith("{")]


def work(files: list[Path]) -> None:
    """Read the canary and then a file, again and again, and print what came of it."""
    import resource  # neither of them is there on Windows
    import signal

    import SimpleITK as sitk

    from lib.image_io import UnreadableImageError, read_radiograph

    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(np.full((80, 56), CANARY, np.uint16)), str(canary))
        for path in files:
            assert (read_radiograph(canary).pixels == CANARY).all()
            outcome: dict[str, Any] = {"file": path.name}
            signal.alarm(_TIMEOUT_S)  # ends the process, which is told as a crash
            try:
                pixels = read_radiograph(path).pixels
                outcome |= {"outcome": "read", "canary": _canary_share(pixels)}
            except UnreadableImageError as error:
                outcome |= {"outcome": "refused", "message": str(error)}
            except BaseException as error:
                outcome |= {"outcome": "error", "message": f"{type(error).__name__}: {error}"}
            signal.alarm(0)
            print(json.dumps(outcome), flush=True)


def _canary_share(pixels: np.ndarray) -> float:
    content = pixels.tobytes()
    pairs = np.frombuffer(content[: len(content) // 2 * 2], np.uint16)
    return float(np.isin(pairs, (CANARY, 65535 - CANARY)).mean())


def faults_of(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Crashes, errors of other kinds, refusals without a reason, and images that hold the canary."""
    return [
        outcome
        for outcome in outcomes
        if outcome["outcome"] in ("crash", "error")
        or outcome.get("canary", 0) > _MAX_CANARY_SHARE
        or (outcome["outcome"] == "refused" and len(outcome["message"]) < len(outcome["file"]) + 10)
    ]


def main() -> None:
    """Read as many damaged files as asked for and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to keep the damaged files in")
    parser.add_argument("--worker", nargs="+", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        sound = Path(temporary) / "sound"
        sound.mkdir()
        files = write_mutations(folder, write_sound_files(sound), arguments.count, arguments.seed)
        outcomes = list(read_all(files))
    print(json.dumps(Counter(outcome["outcome"] for outcome in outcomes)))
    faults = faults_of(outcomes)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
