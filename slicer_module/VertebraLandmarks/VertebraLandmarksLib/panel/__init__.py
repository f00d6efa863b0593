"""The module's panel: Qt only."""
