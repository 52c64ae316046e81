"""Intake as the tests of this folder have it before them."""

from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from services.intake.domain.cases import IntakeCase
from shared.mongo import Database
from shared.pipeline.engine import Engine


@dataclass(frozen=True)
class Intake:
    """What the tests talk to and look into."""

    app: FastAPI
    http: httpx.AsyncClient
    database: Database
    engine: Engine[IntakeCase]
    token: str

    async def stored(self) -> dict[str, list[Any]]:
        """Every document of every collection."""
        names = await self.database.list_collection_names()
        return {name: await self.database[name].find().sort("_id").to_list(None) for name in sorted(names)}
