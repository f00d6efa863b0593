"""Care of a studies folder: ``study.py backup``, ``restore``, ``verify`` and ``move``; see docs/BACKUP.md.

``backup`` and ``verify`` work while servers do. Exit status: 0, done and sound; 1, done, but files are missing or
damaged, and are named; 2, wrong arguments; 3, not done, for the reason that is printed.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

import _app_path  # noqa: F401
from lib.backup.backup import back_up
from lib.backup.manifest import MANIFEST_FILE, OBJECTS, Manifest
from lib.backup.move import move
from lib.backup.restore import restore
from lib.backup.study_source import open_source
from lib.backup.verify import Findings, verify_backup, verify_folder

SOUND, DAMAGED, FAILED = 0, 1, 3
"""Exit statuses; 2 is that of wrong arguments."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, description, places in (
        ("backup", "make a backup of a studies folder and its rows, or bring one up to date", ("studies", "backup")),
        ("restore", "make a studies folder of a backup", ("backup", "studies")),
        ("verify", "compare every file of a studies folder, or of a backup, with what was written", ("folder",)),
        ("move", "move a study to another folder, or its rows to another database", ("studies", "target")),
    ):
        command = commands.add_parser(name, help=description, description=description)
        for place in places:
            command.add_argument(place, type=Path, help=_HELP[place])
        if name == "move":
            command.add_argument(
                "--to-database", metavar="URL", help="database of the rows then (default: SQLite in the folder)"
            )
        whose = "gets the rows (default: SQLite in the folder)" if name == "restore" else "the server has, if any"
        command.add_argument("--database", metavar="URL", help=f"URL of the database that {whose}")
        if name == "backup":
            command.add_argument("--images", action="store_true", help="with the images")
    return parser.parse_args(arguments)


_HELP = {
    "studies": "the studies folder, or the working folder of a PACS",
    "backup": "folder of the backup",
    "folder": "studies folder, or folder of a backup",
    "target": "new or empty folder; the studies folder itself to move its rows only",
}


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        return _COMMANDS[arguments.command](arguments)
    except (ValueError, OSError) as error:
        print(f"study: {_sentence(error)}", file=sys.stderr)
        return FAILED


def _sentence(error: Exception) -> str:
    """What has gone wrong; an error of the system with the file that it is about."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return str(error)


def _backup(arguments: argparse.Namespace) -> int:
    with open_source(arguments.studies, arguments.database) as source:
        manifest = back_up(source, arguments.backup, arguments.images)
    print(f"backup of all that was saved until {_time_of(manifest)}: {_summary(manifest)}")
    for path in manifest.damaged:
        print(f"{path} is missing or damaged in the studies folder and is not in the backup", file=sys.stderr)
    return DAMAGED if manifest.damaged else SOUND


def _restore(arguments: argparse.Namespace) -> int:
    manifest = restore(arguments.backup, arguments.studies, arguments.database)
    print(f"restored what was saved until {_time_of(manifest)}: {_summary(manifest)}")
    if not manifest.has_images and not manifest.is_pacs:
        print(f"the backup has no images: copy them to {arguments.studies}, under the same names")
    return DAMAGED if manifest.damaged else SOUND


def _verify(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.folder
    if (folder / MANIFEST_FILE).exists() or (folder / OBJECTS).is_dir():
        return _report(verify_backup(folder))
    with open_source(folder, arguments.database) as source:
        return _report(verify_folder(source))


def _report(findings: Findings) -> int:
    counts = ", ".join(f"{count} {name}" for name, count in findings.counts.items())
    for sentence in findings.problems:
        print(sentence, file=sys.stderr)
    print(f"{counts}: {f'{len(findings.problems)} problems' if findings.problems else 'sound'}")
    return DAMAGED if findings.problems else SOUND


def _move(arguments: argparse.Namespace) -> int:
    with open_source(arguments.studies, arguments.database) as source:
        move(source, arguments.target, arguments.to_database)
    print(f"moved: serve {arguments.target}" + (" with --conf database" if arguments.to_database else ""))
    return SOUND


def _time_of(manifest: Manifest) -> str:
    return datetime.fromtimestamp(manifest.snapshot_at, timezone.utc).isoformat(timespec="milliseconds")


def _summary(manifest: Manifest) -> str:
    counts, size = manifest.counts, sum(manifest.objects().values()) / 1e6
    rows = f"{counts['vl_images']} images, {counts['vl_labels']} label versions"
    return f"{rows}; {len(manifest.files)} files, {size:.1f} MB"


_COMMANDS = {"backup": _backup, "restore": _restore, "verify": _verify, "move": _move}


if __name__ == "__main__":
    raise SystemExit(main())
