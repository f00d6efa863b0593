"""Self test of the module, run by *Reload and Test* in Slicer; needs no server."""

import tempfile
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from ..client.radiograph import LOCAL, ImageInfo, Radiograph
from ..spine.schema import POINTS, VERTEBRAE, Spine

MANUAL_CHECKS = (
    "the module is listed under Spine with its icon, and the panel is readable in your style",
    "Ctrl+Z and Ctrl+Y undo and redo while the mouse is in the slice view",
    "N, I, D, L, X, G and H do what Keyboard help says, and type letters while a text field has the focus",
    "Enter and Esc answer a question, and do in other windows of Slicer what they always do",
    "in a study, 1, 2, M, E and Enter choose the final label while two readings are compared",
    "dragging a corner is smooth, and the table of curves follows",
    "Open a file opens a DICOM and a PNG file",
    "an image opened from the server can be corrected, submitted and found again after a restart",
)
"""To be checked by hand in Slicer."""


class VertebraLandmarksTest(ScriptedLoadableModuleTest):
    """Shows an image, corrects points and undoes it, without touching the user's nodes."""

    def runTest(self):
        """Run all tests, and list what is left to be checked by hand."""
        self.setUp()
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.delayDisplay(name.replace("_", " "))
            try:
                getattr(self, name)()
            finally:
                self.tearDown()
        self.delayDisplay("Passed. Please check the following by hand: " + "; ".join(MANUAL_CHECKS) + ".")

    def setUp(self):
        """Create the panel if it does not exist yet."""
        slicer.modules.vertebralandmarks.widgetRepresentation()
        assert self.widget().logic.radiograph is None, "Close the scene first: the test shows an image of its own."

    def tearDown(self):
        """Close the image of the test."""
        self.widget().logic.close_image()

    def widget(self):
        """The module's widget in Slicer."""
        return slicer.modules.VertebraLandmarksWidget

    def show(self):
        """Show an image with a straight spine; returns the logic."""
        logic = self.widget().logic
        logic.show_image(gray_steps())
        logic.editor.load(straight_spine())
        return logic

    def test_panel_is_there(self):
        """The panel has its widgets, and nothing can be submitted yet."""
        widget = self.widget()
        assert widget.panel.ui.connectionSection.text == "Connection"
        assert not widget.panel.ui.submitButton.enabled

    def test_image_and_points_are_shown(self):
        """Two lists of points are added to the scene, and removed with the image."""
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
        logic = self.show()
        after = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
        assert after - before >= 2
        logic.close_image()
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == before

    def test_correction_is_measured_and_undone(self):
        """A rotated vertebra makes a curve; undo reverts it."""
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

    def test_nodes_of_the_user_are_unchanged(self):
        """Nodes of the user stay unchanged."""
        own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Mine")
        own.AddControlPoint(1.0, 2.0, 3.0)
        self.show().close_image()
        assert slicer.mrmlScene.GetNodeByID(own.GetID()) is not None
        assert own.GetNumberOfControlPoints() == 1
        slicer.mrmlScene.RemoveNode(own)

    def test_local_file_is_read(self):
        """A local file is read as an image."""
        logic = self.widget().logic
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "steps.nrrd"
            pixels = gray_steps().pixels
            header = (
                f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: {pixels.shape[1]} {pixels.shape[0]}\nencoding: raw\n\n"
            )
            path.write_bytes(header.encode("ascii") + pixels.tobytes())
            radiograph = logic.load_local(str(path))
        assert np.array_equal(radiograph.pixels, pixels)


def gray_steps():
    """Image of gray steps, 240 x 400 pixels."""
    pixels = np.repeat((np.arange(400) // 2).astype(np.uint8)[:, None], 240, axis=1)
    return Radiograph("self test", pixels, LOCAL, None, ImageInfo(240, 400))


def straight_spine():
    """Bodies of 40 x 14 pixels, one below the other."""
    xy = np.zeros((len(VERTEBRAE), len(POINTS), 2))
    for v in range(len(VERTEBRAE)):
        y = 30.0 + 21.0 * v
        xy[v] = [(120, y), (100, y - 7), (140, y - 7), (100, y + 7), (140, y + 7)]
    return Spine.from_arrays(xy)
