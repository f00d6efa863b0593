"""The settings of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.server.config import ServerConfig, parse_conf


def test_values_are_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.touch()
    conf = {"device": "cpu", "weights": str(file), "max_upload_mb": "4", "tokens": str(file), "prelabel": "TRUE"}
    found = parse_conf({**conf, "cors_origins": "https://a.example http://b:80 http://[::1]:8000", "server_mode": "x"})
    origins = ("https://a.example", "http://b:80", "http://[::1]:8000")
    assert found == ServerConfig("cpu", file, 4, file, origins, prelabel=True)
    assert parse_conf({}) == ServerConfig()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("colour", "red", "--conf colour: unknown setting; known are device, weights, max_upload_mb"),
        ("weights", "/no/file", "--conf weights must be a file that is there, got '/no/file'"),
        ("tokens", "/", "--conf tokens must be a file that is there, got '/'"),
        ("max_upload_mb", "0", "--conf max_upload_mb must be a whole number from 1 to 4096, got '0'"),
        ("max_upload_mb", "4097", "--conf max_upload_mb must be a whole number from 1 to 4096"),
        ("max_upload_mb", "many", "--conf max_upload_mb must be a whole number from 1 to 4096, got 'many'"),
        ("prelabel", "yes", "--conf prelabel must be true or false, got 'yes'"),
        ("scoring", "1", "--conf scoring must be true or false, got '1'"),
        (
            "cors_origins",
            "https://a.example *",
            "--conf cors_origins must be addresses like https://viewer.example",
        ),
        ("database", "oracle://host", "--conf database must be a URL like"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^--conf ") as caught:
        parse_conf({name: value})
    assert str(caught.value).startswith(said)
