"""Where the agreements in force lie: in routing's own database, one document a version, never changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError
from pymongo import ASCENDING, DESCENDING

from services.routing.domain.agreement import Agreement, Agreements
from services.routing.domain.agreement_check import Finding, Severity, check, errors_of
from shared.contracts.base import AgreementVersion
from shared.days import local_day
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, KeyTakenError, UnavailableError, translated

AGREEMENTS: Final = "agreements"
_ATTEMPTS: Final = 5


class Refusal(StrEnum):
    """Why an agreement is not activated."""

    NOT_SOUND = "agreement-not-sound"
    VERSION_TAKEN = "agreement-version-taken"
    DAYS_DECIDED = "agreement-days-decided"


class NotActivatedError(Exception):
    """An agreement was refused; `findings` say what stands against it."""

    def __init__(self, refusal: Refusal, findings: Sequence[Finding]) -> None:
        more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
        super().__init__(f"{findings[0].where}: {findings[0].what}{more}")
        self.refusal = refusal
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Activated:
    """An agreement as it is stored. `digest` is the SHA-256 of its canonical JSON, in hexadecimal digits."""

    agreement: Agreement
    digest: str
    activated_at: datetime


@dataclass(frozen=True, slots=True)
class Activation:
    """What came of an activation; `is_new` is false where the same agreement was there already."""

    stored: Activated
    warnings: Sequence[Finding]
    is_new: bool


class AgreementStore:
    """The agreements that were activated."""

    def __init__(self, database: Database) -> None:
        self._collection = database[AGREEMENTS]
        self._known = Agreements()

    async def all(self) -> Agreements:
        """Every term that was activated; the same object while none is added."""
        async with translated():
            newest = await self._collection.find_one(sort=[("number", DESCENDING)], projection={"number": 1})
        if newest and newest["number"] != len(self._known.terms):
            self._known = Agreements(tuple(stored.agreement for stored in await self.stored()))
        return self._known

    async def stored(self) -> list[Activated]:
        """All of them, in the order of their activation."""
        async with translated():
            documents = await self._collection.find().sort("number", ASCENDING).to_list(None)
        return [_decoded(document) for document in documents]

    async def get(self, version: AgreementVersion) -> Activated | None:
        """The agreement of that version."""
        async with translated():
            document = await self._collection.find_one({"_id": version})
        return _decoded(document) if document else None

    async def activate(self, agreement: Agreement, now: datetime) -> Activation:
        """Let an agreement count; the same one again changes nothing.

        Raises `NotActivatedError`. Of two at the same time, the second is judged beside the first: both want the next
        number, which is unique.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._activate(agreement, now)
            except KeyTakenError:
                continue
        return await self._activate(agreement, now)

    async def _activate(self, agreement: Agreement, now: datetime) -> Activation:
        stored = await self.stored()
        for other in stored:
            if other.agreement == agreement:
                return Activation(other, (), is_new=False)
            if other.agreement.version == agreement.version:
                what = f"{agreement.version} is active with another content; a new division needs a new version"
                raise _refused(Refusal.VERSION_TAKEN, "version", what)
        others = [other.agreement for other in stored]
        findings = check(agreement, others, local_day(now))
        if errors := errors_of(findings):
            raise NotActivatedError(Refusal.NOT_SOUND, errors)
        if other_version := _decided_by_another(agreement, others, local_day(now)):
            what = f"cases up to today were decided by {other_version}; a new division begins tomorrow at the earliest"
            raise _refused(Refusal.DAYS_DECIDED, "valid_from", what)
        text = canonical(agreement)
        new = Activated(agreement, sha256(text.encode()).hexdigest(), now)
        document = {
            "_id": agreement.version,
            "number": len(stored) + 1,
            "agreement": text,
            "digest": new.digest,
            "activated_at": now,
        }
        async with translated():
            await self._collection.insert_one(document)
        return Activation(new, findings, is_new=True)


def canonical(agreement: Agreement) -> str:
    """The agreement as JSON, the same text for the same content: sets have no order of their own."""
    return json.dumps(agreement.model_dump(), default=_in_json, ensure_ascii=False, sort_keys=True)


def _in_json(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _decoded(document: dict[str, Any]) -> Activated:
    try:
        agreement = Agreement.model_validate_json(document["agreement"], extra="ignore")
    except ValidationError:  # a newer version wrote it: what needs it waits, and is not set aside
        raise UnavailableError(f"the agreement {document['_id']} cannot be read by this version") from None
    return Activated(agreement, document["digest"], document["activated_at"].astimezone(UTC))


def _decided_by_another(agreement: Agreement, others: Sequence[Agreement], today: date) -> AgreementVersion | None:
    """The version that governed a day up to today on which this one would govern instead."""
    until = min(agreement.valid_to, today)
    for other in others:
        takes_over = other.valid_from < agreement.valid_from <= other.valid_to
        if takes_over and agreement.valid_from <= until:
            return other.version
    return None


def _refused(refusal: Refusal, where: str, what: str) -> NotActivatedError:
    return NotActivatedError(refusal, [Finding(Severity.ERROR, where, what)])


async def _create(database: Database) -> None:
    await ensure_collection(database, AGREEMENTS)
    await database[AGREEMENTS].create_index("number", name="one_after_the_other", unique=True)


MIGRATIONS: Final = (Migration("routing-agreements", _create),)
