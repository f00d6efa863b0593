from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import system_packages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these libraries belong to Linux")


def test_names_the_package_of_what_cannot_be_loaded() -> None:
    libraries = (("libc.so.6", "libc6"), ("libnowhere.so.9", "libnowhere9"))
    assert system_packages.missing_packages(libraries) == ["libnowhere9"]


def test_the_advice_is_a_command() -> None:
    assert "sudo apt install libegl1 libgl1;" in system_packages.advice(["libegl1", "libgl1"])


def test_postgresql_is_found_in_debians_place_and_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    place = tmp_path / "lib"
    assert not system_packages.has_postgresql(place)
    for path in (tmp_path / "lib" / "15" / "bin" / "postgres", tmp_path / "bin" / "postgres"):
        path.parent.mkdir(parents=True)
        path.touch(0o755)
        assert system_packages.has_postgresql(place)
        path.unlink()


def test_what_is_missing_is_installed_with_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(system_packages, "optional_packages", lambda: [["postgresql"], ["chromium"]])
    monkeypatch.setattr(system_packages, "missing_packages", lambda: [])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert system_packages.provide() is None  # tests without it are skipped
    asked = (tmp_path / "asked").read_text().splitlines()
    installs = [f"--quiet=2 install --yes --no-install-recommends {name}" for name in ("postgresql", "chromium")]
    assert asked == ["--quiet=2 update", *installs]


def test_programs_that_are_missing_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("has_postgresql", "has_orthanc", "nginx"):
        monkeypatch.setattr(system_packages, name, lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert system_packages.optional_packages() == [["chromium"], ["nodejs", "npm"], ["dicom3tools"], ["dcmtk"]]
    for name in ("google-chrome", "npm", *system_packages.DICOM_CHECKERS):
        (tmp_path / name).touch(0o755)
    assert system_packages.optional_packages() == []
    assert system_packages.chromium() == str(tmp_path / "google-chrome")
    monkeypatch.setenv("CHROMIUM", "/opt/chromium")
    assert system_packages.chromium() == "/opt/chromium"


def test_orthanc_is_found_with_its_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    plugin = tmp_path / "plugin.so"
    (tmp_path / "Orthanc").touch(0o755)
    assert not system_packages.has_orthanc(plugin)
    plugin.touch()
    assert system_packages.has_orthanc(plugin)
