"""During a roll-out the old and the new version of a service work on the same documents."""

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from services.intake.repository import Cases
from services.notify.repository import NotifiedCases
from services.routing.repository import CaseDocuments
from services.scheduling.domain.timetable import Timetable
from services.scheduling.repository import ScheduledCases
from shared.pipeline.decisions import Aggregate
from shared.pipeline.states import MongoStates

NEWER = {"of_a_newer_version": {"kept": [1, 2]}}
CASE = {"_id": "case", "version": 3, "sequence": 7, **NEWER}
AT = "2026-03-02T09:00:00Z"
FACTS = {
    "case_id": "11111111-1111-4111-8111-111111111111",
    "person_id": "22222222-2222-4222-8222-222222222222",
    "received_at": AT,
    "municipality": "Eppstein",
    "languages": ["uk"],
    "urgency": "normal",
    "legal_basis": {"kind": "public_task"},
    "concerns": [
        {
            "concern_id": "33333333-3333-4333-8333-333333333333",
            "code": "debt",
            "person_id": "22222222-2222-4222-8222-222222222222",
            "age_band": "27-64",
        }
    ],
}
REFERRAL = {"id": "44444444-4444-4444-8444-444444444444", "state": "clearing", "concerns": [], "since": AT, **NEWER}
ROUTED = {**CASE, "_id": FACTS["case_id"], "facts": FACTS, "referrals": [REFERRAL]}


@pytest.fixture
def database() -> object:
    """A handle that is never used: nothing connects before the first question."""
    return AsyncIOMotorClient("mongodb://127.0.0.1:1")["unused"]


def rewritten(states: MongoStates[Aggregate], document: dict[str, object]) -> dict[str, object]:
    return states.encoded(states.decoded(document))


def test_old_version_keeps_what_a_newer_one_wrote(database: object) -> None:
    scheduling = ScheduledCases(database, Timetable([], lead_days=1, horizon_days=1))

    for states in (NotifiedCases(database), scheduling):
        assert NEWER.items() <= rewritten(states, CASE).items()
    assert NEWER.items() <= rewritten(CaseDocuments(database), ROUTED).items()


def test_old_version_keeps_it_inside_a_referral_as_well(database: object) -> None:
    [referral] = rewritten(CaseDocuments(database), ROUTED)["referrals"]

    assert NEWER.items() <= referral.items()


def test_message_that_needs_nothing_more_is_looked_at_no_more(database: object) -> None:
    assert "next_at" not in rewritten(NotifiedCases(database), {**CASE, "next_at": AT})


def test_intake_keeps_it_too(database: object) -> None:
    states = Cases(database)
    known = {
        "recorded_at": AT,
        "received_at": AT,
        "channel": "referral",
        "referrer": None,
        "source_reference": None,
        "municipality": "Eppstein",
        "languages": ["uk"],
        "urgency": "normal",
        "respond_by": None,
        "legal_basis": {
            "kind": "public_task",
            "partners": None,
            "codes": None,
            "given_on": None,
            "expires_on": None,
            "withdrawn_on": None,
            "text_version": None,
            "text_language": None,
            "form": None,
            "field_groups": [],
        },
        "excluded_partners": [],
        "needs": [],
        "person_id": FACTS["person_id"],
        "members": [],
        "concerns": FACTS["concerns"],
    }

    assert NEWER.items() <= rewritten(states, {**CASE, **known}).items()
