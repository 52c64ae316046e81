"""The services know each other by a token that only their owner can read."""

import stat
from pathlib import Path

import httpx
import pytest
from fastapi import Depends, FastAPI

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.web.equipment import equip
from shared.web.service_token import read_or_create_token, service_token_required


def test_the_token_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "var" / "service-token"

    first, second = read_or_create_token(file), read_or_create_token(file)

    assert first == second
    assert len(first) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["service-token"]


@pytest.mark.usefixtures("lines")
async def test_a_service_makes_the_token_when_it_starts_and_not_before(tmp_path: Path) -> None:
    nowhere, file = "127.0.0.1:1", tmp_path / "service-token"
    app = create_app(IntakeSettings(kafka_bootstrap=nowhere, mongo_url=f"mongodb://{nowhere}", service_token_file=file))
    assert not is_there(file)

    async with app.router.lifespan_context(app):
        assert is_there(file)


def is_there(file: Path) -> bool:
    return file.exists()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer right", 200),
        ("bearer right", 200),
        ("BEARER right", 200),
        ("Bearer wrong", 401),
        ("right", 401),
        ("", 401),
        ("Bearer rightö", 401),
    ],
)
async def test_only_the_right_token_opens(tmp_path: Path, header: str, status: int) -> None:
    file = tmp_path / "service-token"
    file.write_text("right\n")
    app = FastAPI()
    equip(app, dict)

    @app.get("/names", dependencies=[Depends(service_token_required(file))])
    async def names() -> dict[str, str]:
        return {}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/names", headers={"Authorization": header.encode()})

    assert response.status_code == status
