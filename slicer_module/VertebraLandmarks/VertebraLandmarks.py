"""Slicer module Vertebra Landmarks: entry points that Slicer finds by name; the code is in ``VertebraLandmarksLib``."""

import importlib
import sys
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin
from VertebraLandmarksLib.panel.panel import VertebraLandmarksPanel
from VertebraLandmarksLib.panel.self_test import VertebraLandmarksTest
from VertebraLandmarksLib.scene.logic import VertebraLandmarksLogic
from VertebraLandmarksLib.workflow.controller import Controller
from VertebraLandmarksLib.workflow.drafts import Drafts

__all__ = ["VertebraLandmarks", "VertebraLandmarksLogic", "VertebraLandmarksTest", "VertebraLandmarksWidget"]


class VertebraLandmarks(ScriptedLoadableModule):
    """Description of the module for Slicer."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "Vertebra Landmarks"
        parent.categories = ["Spine"]
        parent.dependencies = []
        parent.contributors = ["Vertebra Landmarks contributors"]
        parent.helpText = (
            "Puts 17 centers and 68 corners on the vertebrae T1 to L5 of anteroposterior spine radiographs, with the "
            "help of a Vertebra Landmarks server. Correct them, measure Cobb angles, and submit labels to train on. "
            "Open <b>Connection</b>, enter the address that <tt>scripts/start.py</tt> prints, and press <b>Next "
            "image</b>; <b>Keyboard help</b> lists the keys. For research only; not a medical device."
        )
        parent.acknowledgementText = (
            "The method follows Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011; the server is a "
            "MONAI Label app. Licence: Apache-2.0."
        )


class VertebraLandmarksWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel in Slicer's module area."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        """Create the panel."""
        super().setup()
        folder = Path(slicer.app.slicerUserSettingsFilePath).parent / "VertebraLandmarks" / "drafts"
        self.logic = VertebraLandmarksLogic()
        self.controller = Controller(self.logic, Drafts(folder))
        self.panel = VertebraLandmarksPanel(self.resourcePath("UI/VertebraLandmarks.ui"), self.logic, self.controller)
        self.layout.addWidget(self.panel.widget)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)

    def enter(self):
        """The user opens the module."""
        self.panel.enter()

    def exit(self):
        """The user leaves the module."""
        self.panel.exit()

    def cleanup(self):
        """Slicer closes, or the module is reloaded."""
        self.removeObservers()
        self.panel.cleanup()

    def onSceneStartClose(self, caller, event):
        """The scene is about to be emptied."""
        self.controller.save_now()

    def onSceneEndClose(self, caller, event):
        """The scene is empty; its work is listed as unfinished."""
        self.controller.on_scene_closed()

    def onReload(self):
        """Reload the source, including the library."""
        for name in [name for name in sys.modules if name.split(".")[0] == "VertebraLandmarksLib"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        super().onReload()
