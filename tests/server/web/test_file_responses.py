"""Streamed file responses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastapi import HTTPException
from fastapi.responses import StreamingResponse

from lib.server.web.file_responses import file_response
from lib.spine.atomic_write import atomic_write


async def _sent(response: StreamingResponse) -> bytes:
    return b"".join([bytes(piece) async for piece in response.body_iterator])  # type: ignore[arg-type]


def test_a_file_that_is_replaced_while_it_is_sent_arrives_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old" * 200_000)
    response = file_response(path, "image/png")
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new and longer" * 200_000)
    assert response.headers["content-length"] == "600000"
    assert asyncio.run(_sent(response)) == b"old" * 200_000


@pytest.mark.parametrize(
    ("name", "told"), [("a 1.png", "filename*=utf-8''a%201.png"), ("a-1.png", 'filename="a-1.png"')]
)
def test_the_response_names_the_file(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert file_response(tmp_path / name, "image/png").headers["content-disposition"] == f"attachment; {told}"
    assert "given.bin" in file_response(tmp_path / name, "x", "given.bin").headers["content-disposition"]


def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(HTTPException) as raised:
        file_response(tmp_path / "a.png", "image/png")
    assert raised.value.status_code == 404
