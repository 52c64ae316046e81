"""Intake's HTTP interface."""

from fastapi import APIRouter

from services.intake.api import imports
from services.intake.api.cases import cases_router
from services.intake.api.imports import imports_router
from services.intake.api.notes import notes_router
from services.intake.api.persons import persons_router
from services.intake.api.reception import Reception
from services.intake.domain.cases import IntakeCase
from services.intake.repository import Cases, Counters, Notes, Persons
from services.intake.settings import IntakeSettings
from shared.mongo import Database
from shared.pipeline.door import Door

BODY_LIMITS = {imports.PATH: None}
"""The import reads its body piece by piece."""


def intake_routers(door: Door[IntakeCase], database: Database, settings: IntakeSettings) -> tuple[APIRouter, ...]:
    """Every route of intake."""
    reception = Reception(door, Counters(database), settings.denominational_partners, settings.partners)
    cases = Cases(database)
    return (
        cases_router(door, cases, reception),
        notes_router(door, cases, Notes(database)),
        imports_router(reception),
        persons_router(Persons(database)),
    )
