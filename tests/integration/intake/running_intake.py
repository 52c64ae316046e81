"""Intake as the tests of this folder have it before them."""

from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from signing import signed

from services.intake.domain.cases import IntakeCase
from shared.mongo import Database
from shared.pipeline.engine import Engine
from shared.web.roles import Role


def as_the_office(staff_id: str = "fd-001") -> dict[str, str]:
    """Somebody of the front desk, who has the rights of the district's systems as well."""
    return signed(Role.FRONT_DESK, Role.SERVICE, sub=staff_id)


@dataclass(frozen=True)
class Intake:
    """What the tests talk to and look into."""

    app: FastAPI
    http: httpx.AsyncClient
    database: Database
    engine: Engine[IntakeCase]

    async def stored(self) -> dict[str, list[Any]]:
        """Every document of every collection."""
        names = await self.database.list_collection_names()
        return {name: await self.database[name].find().sort("_id").to_list(None) for name in sorted(names)}
