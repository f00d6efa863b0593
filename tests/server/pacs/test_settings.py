"""Address, login and folder of a PACS, from the command line and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.server.config import parse_conf
from lib.server.filenames import check_studies, is_dicomweb
from lib.server.log_privacy import redact_passwords
from lib.server.pacs.settings import PASSWORD, TOKEN, USER, default_folder, pacs_settings

URL = "https://pacs.example:8443/dicom-web"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login in the environment."""
    for name in (USER, PASSWORD, TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_the_login_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER, "ann")
    monkeypatch.setenv(PASSWORD, "geheim")
    settings = pacs_settings(f" {URL}/ ", parse_conf({}))
    assert (settings.url, settings.host, settings.user, settings.password) == (
        URL,
        "pacs.example:8443",
        "ann",
        "geheim",
    )
    assert "geheim" not in repr(settings)


def test_the_command_line_takes_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(USER, "ann")
    monkeypatch.setenv(PASSWORD, "geheim")
    rules = tmp_path / "rules.yaml"
    rules.write_text("view: [PA]")
    conf = {
        "dicomweb_user": "bob",
        "dicomweb_password": "secret",
        "dicomweb_filter": str(rules),
        "dicomweb_folder": str(tmp_path / "work"),
        "dicomweb_cache_mb": "7",
    }
    settings = pacs_settings(URL, parse_conf(conf))
    assert (settings.user, settings.password, settings.folder) == ("bob", "secret", tmp_path / "work")
    assert (settings.image_filter.view, settings.cache_bytes) == (("PA",), 7_000_000)
    assert "secret" not in repr(parse_conf(conf))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({USER: "a"}, "needs both a user and a password"),
        ({PASSWORD: "a"}, "needs both a user and a password"),
        ({USER: "a", PASSWORD: "b", TOKEN: "c"}, "not both"),
    ],
)
def test_half_a_login_is_refused(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said):
        pacs_settings(URL, parse_conf({}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dicomweb_cache_mb", "0"),
        ("dicomweb_ca", "/no/file"),
        ("dicomweb_user", ""),
        ("dicomweb_send", ""),
        ("dicomweb_send", "gsps"),
        ("dicomweb_send", "labels off"),
        ("dicomweb_send", "labels seg"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^--conf {name}"):
        parse_conf({name: value})


def test_each_address_has_a_folder_of_its_own() -> None:
    assert default_folder(URL) == default_folder(f"{URL}/")
    assert default_folder(URL) != default_folder(URL.replace("https", "http"))
    assert "example" not in str(default_folder(URL))


def test_a_host_is_needed() -> None:
    with pytest.raises(ValueError, match="must be an address like"):
        pacs_settings("http://", parse_conf({}))


@pytest.mark.parametrize("studies", [URL, "http://localhost:8042/dicom-web", "/data/studies", "studies"])
def test_folders_and_addresses_of_a_pacs_are_studies(studies: str) -> None:
    check_studies(studies)
    assert is_dicomweb(studies) == studies.startswith("http")


@pytest.mark.parametrize("studies", ["s3://bucket/x", "ftp://a/b", "HTTPS://pacs.example/x", "dicom://a"])
def test_other_addresses_are_refused(studies: str) -> None:
    with pytest.raises(ValueError, match="must be a folder of radiographs, or the address of a DICOMweb service"):
        check_studies(studies)


def test_the_folder_that_monai_label_makes_of_an_address_is_removed(tmp_path: Path) -> None:
    made = tmp_path / "s3:" / "bucket" / "x"
    made.mkdir(parents=True)
    with pytest.raises(ValueError, match="'s3://bucket/x' must be a folder"):
        check_studies(str(made))
    assert list(tmp_path.iterdir()) == []


def test_a_login_in_the_address_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="without user and password") as caught:
        check_studies("https://ann:geheim@pacs.example/x")
    assert "geheim" not in str(caught.value)
    assert "ann" not in str(caught.value).replace("an ", "")


def test_logged_settings_lose_the_login() -> None:
    text = "USING:: conf = [['dicomweb_password', 'ge\"heim'], ['dicomweb_user', 'ann']] {'dicomweb_token': 'tok'}"
    redacted = redact_passwords(text)
    assert "heim" not in redacted
    assert "'tok'" not in redacted
    assert "'ann'" in redacted
