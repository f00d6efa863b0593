"""Screenshot of the Slicer module without 3D Slicer: ``slicer_snapshot.py IMAGE --output FILE.png``.

Opens the image in the module, which runs on Slicer's own libraries with the panel on Qt (offscreen), and writes slice
view and panel side by side. Without ``--server`` a server is started with a copy of the image; with one, the image is
opened through an upload session, and nothing is stored there.
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import _app_path  # noqa: F401
from _path_arguments import existing_file
from harness.fake_slicer.desktop import PANEL_WIDTH, Desktop, desktop
from harness.local_server import OwnServer, own_server
from lib.spine.image_suffixes import image_stem
from setup_environment import ROOT

VIEW = (660, 1300)
STATES = ("normal", "doubtful", "training", "error", "reading", "adjudication")
PLAN = '{"readers": ["Ada", "Ben"], "adjudicators": ["Cleo"], "second_reading": {"share": 1}}'
"""Of the study in which a second reading is made, or two are adjudicated."""
COMPANIONS = 3
"""Number of generated radiographs with labels for the training."""


def main(arguments: "list[str] | None" = None) -> int:
    """Write the screenshot; returns the exit status."""
    options = parse_arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="slicer_snapshot_") as folder, contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(server_for(options, Path(folder)))
            url = options.server or server.url  # type: ignore[union-attr]
            opened = stack.enter_context(desktop(Path(folder), VIEW))
            show(opened, url, options, server)
        except (RuntimeError, TimeoutError) as error:
            print(error, file=sys.stderr)
            return 1
        options.output.parent.mkdir(parents=True, exist_ok=True)
        if not opened.screenshot().save(str(options.output)):
            print(f"{options.output} cannot be written; choose a name that ends with .png", file=sys.stderr)
            return 1
    print(f"Wrote {options.output}.")
    return 0


def parse_arguments(arguments: "list[str] | None") -> argparse.Namespace:
    """The command line, checked.

    Raises:
        SystemExit: it is wrong (status 2).
    """
    parser = argparse.ArgumentParser(description="Write a screenshot of the Slicer module with an image.")
    parser.add_argument("image", type=existing_file, help="radiograph")
    parser.add_argument("--output", type=Path, required=True, help="screenshot to write (.png)")
    parser.add_argument("--server", help="address of a running server (default: one is started)")
    parser.add_argument("--state", choices=STATES, default="normal", help="what the module is doing (default: normal)")
    options = parser.parse_args(arguments)
    if options.server and options.state not in ("normal", "doubtful"):
        parser.error(f"--state {options.state} needs a server of its own: leave out --server")
    return options


@contextlib.contextmanager
def server_for(options: argparse.Namespace, folder: Path) -> "Iterator[OwnServer | None]":
    """Start a server; ``None`` where one is given."""
    if options.server:
        yield None
        return
    studies = folder / "studies"
    studies.mkdir()
    shutil.copy(options.image, studies)
    if options.state == "training":
        draw_companions(studies)
    elif options.state in ("reading", "adjudication"):
        (studies / "study.yaml").write_text(PLAN)
    with own_server(studies, folder / "server.log") as server:
        yield server


def draw_companions(studies: Path) -> None:
    """Generate labelled radiographs in a folder.

    Raises:
        RuntimeError: the generator failed.
    """
    made = studies.parent / "made"
    command = [sys.executable, str(ROOT / "scripts" / "make_phantoms.py"), "--output", str(made), "--labels"]
    if subprocess.call([*command, "--count", str(COMPANIONS)], stdout=subprocess.DEVNULL):
        raise RuntimeError("the radiographs for the training could not be generated")
    for path in [path for path in made.rglob("*") if path.is_file()]:
        target = studies / path.relative_to(made).parent / f"learn_{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def show(opened: Desktop, url: str, options: argparse.Namespace, server: "OwnServer | None") -> None:
    """Bring the module into the wanted state.

    Raises:
        TimeoutError: it did not reach it.
    """
    ui = opened.ui
    ui.serverLineEdit.text = url
    ui.userLineEdit.text = "Ada"
    ui.followCheckBox.checked = options.state != "doubtful"  # else the others would follow the misplaced corner
    ui.connectButton.click()
    opened.wait(lambda: opened.state.is_connected or opened.state.error, what="connecting")
    raise_error(opened)
    if server is None:
        opened.controller.open_local(str(options.image.resolve()))
    elif options.state in ("reading", "adjudication"):
        read_twice(opened, options.state == "adjudication")
    else:
        opened.controller.open_image(image_stem(options.image.name))
    opened.wait(
        lambda: (opened.state.current and not opened.state.busy) or opened.state.error, 180, "finding landmarks"
    )
    raise_error(opened)
    if options.state == "doubtful":
        spoil(opened)
    elif options.state == "training":
        train(opened)
    elif options.state == "error":
        assert server is not None
        opened.logic.editor.move_vertebra(8, (3.0, 0.0))
        server.kill()
        submit(opened)
        opened.wait(lambda: opened.state.error, what="noticing that the server is gone")
    opened.settle()
    holder = opened.module.widgetRepresentation()
    holder.window().resize(PANEL_WIDTH, max(VIEW[1], holder.minimumSizeHint.height()))
    opened.settle()


def read_twice(opened: Desktop, is_adjudicated: bool) -> None:
    """Read the image as Ada, and begin to read it as Ben, or adjudicate it as Cleo after both have read it."""
    open_next(opened, "Ada")
    submit(opened)
    opened.wait(lambda: opened.state.current.label == "label" or opened.state.error, what="the first reading")
    raise_error(opened)
    open_next(opened, "Ben")
    if not is_adjudicated:
        return
    opened.logic.editor.rotate_vertebra(4, 5.0)
    opened.logic.editor.move_vertebra(9, (9.0, 2.0))
    opened.logic.editor.hide(16)
    submit(opened)
    opened.wait(lambda: opened.state.current.label == "label" or opened.state.error, what="the second reading")
    raise_error(opened)
    open_next(opened, "Cleo")
    opened.ui.takeFirstButton.click()


def open_next(opened: Desktop, name: str) -> None:
    """Let somebody take over the panel, and open what is next for them.

    Raises:
        TimeoutError: the server does not answer, or has nothing.
    """
    opened.ui.nextAfterCheckBox.checked = False
    opened.ui.userLineEdit.text = name
    opened.ui.userLineEdit._target.editingFinished.emit()
    opened.wait(lambda: opened.state.study and opened.state.study.user == name and opened.state.study.readers)
    opened.wait(lambda: not opened.state.busy and opened.state.current is None, what="closing the image")
    opened.settle()
    opened.ui.nextButton.click()
    opened.wait(lambda: opened.state.current or opened.state.error, what="the next image")
    raise_error(opened)
    opened.wait(lambda: opened.state.current.label in ("prediction", "readings"), 180, "finding landmarks")


def raise_error(opened: Desktop) -> None:
    """Raise the error that the module shows, if any."""
    if opened.state.error is not None:
        raise RuntimeError(opened.state.error.message)


def spoil(opened: Desktop) -> None:
    """Misplace a corner of T7, and show it."""
    editor, table = opened.logic.editor, opened.ui.doubtsTable
    (left, _), (x, y) = editor.xy[6, 1], editor.xy[6, 2]
    editor.move_point(6, 2, (x + 0.45 * (x - left), y - 0.9 * (x - left)))
    rows = [row for row in range(table.rowCount) if table.item(row, 0).text() == "T7"]
    table.setCurrentCell(rows[0] - 1, 0)
    opened.ui.nextDoubtButton.click()


def train(opened: Desktop) -> None:
    """Start a training and wait for its first epoch."""
    for section in (opened.ui.imagesSection, opened.ui.correctSection):
        section.collapsed = True
    opened.ui.trainSection.collapsed = False
    opened.ui.epochsSpinBox.value = 20
    opened.ui.trainButton.click()
    opened.wait(
        lambda: (opened.state.training and opened.state.training.loss is not None) or opened.state.error,
        300,
        "training an epoch",
    )
    raise_error(opened)


def submit(opened: Desktop) -> None:
    """Submit, and confirm warnings."""
    opened.ui.submitButton.click()
    if opened.panel.notice.is_question:
        opened.ui.noticeYesButton.click()


if __name__ == "__main__":
    raise SystemExit(main())
