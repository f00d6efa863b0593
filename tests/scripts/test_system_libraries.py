from __future__ import annotations

import sys

import pytest

import _system_libraries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these libraries belong to Linux")


def test_names_the_package_of_what_cannot_be_loaded() -> None:
    libraries = (("libc.so.6", "libc6"), ("libnowhere.so.9", "libnowhere9"))
    assert _system_libraries.missing_packages(libraries) == ["libnowhere9"]


def test_the_advice_is_a_command() -> None:
    assert "sudo apt install libegl1 libgl1;" in _system_libraries.advice(["libegl1", "libgl1"])
