"""The module's own test, run by CTest in a Slicer build."""

import unittest

import slicer


class VertebraLandmarksModuleTest(unittest.TestCase):
    """The panel is made, and the test behind *Reload and Test* passes."""

    def test_module(self):
        """Make the panel and run the test."""
        slicer.modules.vertebralandmarks.widgetRepresentation()
        slicer.selfTests["VertebraLandmarks"]()
