"""Where the build of OHIF comes from, and what is said where there is none."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from lib.server.pacs.viewer import ohif_build
from lib.server.pacs.viewer.ohif_build import ViewerMissingError, cache_folder, find_build

FILES = {
    "package/package.json": "{}",
    "package/dist/index.html": "window.PUBLIC_URL",
    "package/dist/assets/a.png": "image",
    "package/dist/app.bundle.js": "bundle",
    "package/dist/app.bundle.js.map": "map",
    "package/dist/ort/ort.wasm": "large",
    "package/dist/dicom-microscopy-viewer/x.js": "large",
    "package/dist/sw.js": "service worker",
    "package/dist/../../escaped.txt": "outside",
    "/absolute.txt": "outside",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    return cache_folder()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file like the npm package, with its checksum as the expected one."""
    path = tmp_path / "ohif.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("package/dist/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(ohif_build, "INTEGRITY", digest)
    return path


def test_a_package_is_unpacked_once_without_what_is_not_needed(package: Path, cache: Path) -> None:
    build = find_build(package)
    assert build.parent == cache
    files = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file() or path.is_symlink()}
    assert files == {f"{build.name}/{name}" for name in ("index.html", "assets/a.png", "app.bundle.js")}
    package.unlink()
    assert find_build() == build


def test_a_package_with_another_checksum_is_refused(package: Path, cache: Path) -> None:
    package.write_bytes(package.read_bytes() + b"\0")
    with pytest.raises(ViewerMissingError, match=r"ohif\.tgz is not the npm package .*: its SHA-512 differs"):
        find_build(package)
    assert list(cache.iterdir()) == []


def test_the_pinned_checksum_is_a_sha512() -> None:
    assert len(base64.b64decode(ohif_build.INTEGRITY)) == 64


def test_a_folder_is_served_as_it_is(tmp_path: Path) -> None:
    dist = tmp_path / "ohif" / "dist"
    dist.mkdir(parents=True)
    with pytest.raises(ViewerMissingError, match="has no build of OHIF: expected the folder dist"):
        find_build(tmp_path / "ohif")
    (dist / "index.html").write_text("another page")
    with pytest.raises(ViewerMissingError, match="has no build of OHIF"):
        find_build(dist)
    (dist / "index.html").write_text("window.PUBLIC_URL = '/'")
    assert find_build(dist) == find_build(tmp_path / "ohif") == dist
    with pytest.raises(ViewerMissingError, match=r"there is no folder .*elsewhere"):
        find_build(tmp_path / "elsewhere")


def test_without_npm_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ViewerMissingError, match=r"npm is not installed.* name it with --folder"):
        find_build()


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", r"the npm registry cannot be reached, ENOTFOUND\)"),
        ("echo 'npm ERR! code E404' >&2; exit 1", r"\(E404\): download it elsewhere"),
        ("exit 7", r"\(exit status 7\)"),
        ("exit 0", r"\(exit status 0\)"),
        ("echo other > ohif-app.tgz", "is not the npm package"),
    ],
)
def test_failures_of_npm_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, script: str, sentence: str
) -> None:
    fake_npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(ViewerMissingError, match=sentence):
        find_build()
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_npm_is_asked_for_the_pinned_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    fake_npm(tmp_path / "bin", monkeypatch, f'echo "$@" > {tmp_path}/asked; cp {package} ohif-app.tgz')
    assert (find_build() / "app.bundle.js").read_text() == "bundle"
    assert (tmp_path / "asked").read_text().startswith(f"pack @ohif/app@{ohif_build.VERSION} --ignore-scripts")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ViewerMissingError, match=r"OHIF cannot be unpacked into .*: "):
        find_build(package)
