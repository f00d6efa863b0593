"""The module's own test, behind *Reload and Test* in Slicer: what a program can see of it there, without a server."""

import tempfile
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from ..client.radiograph import LOCAL, ImageInfo, Radiograph
from ..spine.schema import POINTS, VERTEBRAE, Spine

TO_CLICK = (
    "the module stands under Spine, with its icon, and the panel reads well in your style",
    "Ctrl+Z and Ctrl+Y undo and redo while the mouse is in the slice view",
    "N, I, D, L, X, G and H do what Keyboard help says, and type letters while a text field has the focus",
    "dragging a corner is smooth, and the table of curves follows",
    "Open a file lets you choose a DICOM and a PNG file",
    "a film opened from the server can be corrected, submitted and found again after a restart",
)
"""What only a person can see in Slicer."""


class VertebraLandmarksTest(ScriptedLoadableModuleTest):
    """Shows a film, corrects points and takes them back; the user's nodes are left alone."""

    def runTest(self):
        """Run everything, and say what is left to be clicked."""
        self.setUp()
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.delayDisplay(name.replace("_", " "))
            try:
                getattr(self, name)()
            finally:
                self.tearDown()
        self.delayDisplay("Passed. Please look at the following yourself: " + "; ".join(TO_CLICK) + ".")

    def setUp(self):
        """Make the panel, where it is not there yet."""
        slicer.modules.vertebralandmarks.widgetRepresentation()
        assert self.widget().logic.film is None, "Close the scene first: the test shows a film of its own."

    def tearDown(self):
        """Close the film of the test."""
        self.widget().logic.close_image()

    def widget(self):
        """The module's widget, as Slicer holds it."""
        return slicer.modules.VertebraLandmarksWidget

    def show(self):
        """A film with a straight spine; returns the logic."""
        logic = self.widget().logic
        logic.show_image(film_of_steps())
        logic.editor.load(straight_spine())
        return logic

    def test_panel_is_there(self):
        """Every widget has its place, and nothing can be submitted yet."""
        widget = self.widget()
        assert widget.panel.ui.connectionSection.text == "Connection"
        assert not widget.panel.ui.submitButton.enabled

    def test_film_and_points_are_shown(self):
        """One volume and two lists of points come into the scene and go with the film."""
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
        logic = self.show()
        after = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
        assert after - before >= 2
        logic.close_image()
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == before

    def test_correction_is_measured_and_undone(self):
        """A turned vertebra makes a curve; undo takes it back."""
        logic = self.show()
        flat = logic.measurements.curves[0].angle_deg
        logic.editor.rotate_vertebra(VERTEBRAE.index("T7"), 20.0)
        assert logic.measurements.curves[0].angle_deg > flat + 9.0
        assert logic.editor.undo()
        assert abs(logic.measurements.curves[0].angle_deg - flat) < 1e-6

    def test_table_shows_the_curves(self):
        """The panel follows the points."""
        logic = self.show()
        logic.editor.rotate_vertebra(VERTEBRAE.index("T7"), 20.0)
        shown = self.widget().panel.ui.curvesTable.item(0, 3).text()
        assert f"{logic.measurements.curves[0].angle_deg:.1f}" in shown

    def test_users_nodes_are_left_alone(self):
        """What the user made stays as it was."""
        own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Mine")
        own.AddControlPoint(1.0, 2.0, 3.0)
        self.show().close_image()
        assert slicer.mrmlScene.GetNodeByID(own.GetID()) is not None
        assert own.GetNumberOfControlPoints() == 1
        slicer.mrmlScene.RemoveNode(own)

    def test_local_file_is_read(self):
        """A file of this computer becomes a film."""
        logic = self.widget().logic
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "steps.nrrd"
            pixels = film_of_steps().pixels
            header = (
                f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: {pixels.shape[1]} {pixels.shape[0]}\nencoding: raw\n\n"
            )
            path.write_bytes(header.encode("ascii") + pixels.tobytes())
            film = logic.load_local(str(path))
        assert np.array_equal(film.pixels, pixels)


def film_of_steps():
    """A film of gray steps, 240 x 400."""
    pixels = np.repeat((np.arange(400) // 2).astype(np.uint8)[:, None], 240, axis=1)
    return Radiograph("self test", pixels, LOCAL, None, ImageInfo(240, 400))


def straight_spine():
    """Bodies of 40 x 14 pixels, one below the other."""
    xy = np.zeros((len(VERTEBRAE), len(POINTS), 2))
    for v in range(len(VERTEBRAE)):
        y = 30.0 + 21.0 * v
        xy[v] = [(120, y), (100, y - 7), (140, y - 7), (100, y + 7), (140, y + 7)]
    return Spine.from_arrays(xy)
