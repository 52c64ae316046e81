"""What a partner's software on trial is told: every type, as routing writes it, and each kind of wrong record."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts import CONTRACTS
from shared.contracts.routing import PARTNER_TOPIC, PartnerEvent, ReferralOffered, ReplyRejected
from shared.envelope import unwrap
from wegweiser.letters import ENDINGS, LATER, Letter, a_rejection
from wegweiser.scenario import Point, Trial

PREFIX = "de.integrationsbuero."


@pytest.fixture
def trial() -> Trial:
    return Trial("awo")


def attributes(letter: Letter) -> dict[str, str]:
    return {name: text.decode() for name, text in letter.headers}


def payload(letter: Letter) -> dict[str, Any]:
    assert letter.value is not None
    told: dict[str, Any] = json.loads(letter.value)
    return told


def test_what_is_newer_says_more_or_is_of_another_version_or_type(trial: Trial) -> None:
    more, version, type_ = trial.newer()

    assert payload(more).keys() - ReferralOffered.model_fields.keys() == {"not_known_yet"}
    assert attributes(more).keys() - attributes(version).keys() == {"ce_notknownyet"}
    assert [attributes(letter)["ce_type"] for letter in (more, version, type_)] == [
        f"{PREFIX}referral.offered.v1",
        f"{PREFIX}referral.offered.v2",
        f"{PREFIX}referral.greeted.v1",
    ]


def test_what_is_no_event_has_no_headers_no_value_no_json_or_no_object_about_a_referral(trial: Trial) -> None:
    letters = trial.no_events()

    assert [letter.headers for letter in letters].count([]) == 1
    assert {letter.value for letter in letters} == {
        b"\xff\xfe",
        None,
        b"7",
        b"null",
        b"[1, 2]",
        b"{}",
        b'{"referral_id": 7}',
        b'{"referral_id": 7',
    }


def test_every_letter_is_what_routing_would_write(trial: Trial) -> None:
    referral_id, offer = trial.offer(Point.EVERY_TYPE)
    letters = [offer, *(trial.later(referral_id, event) for event in (*LATER, *ENDINGS)), a_rejection("awo")]

    assert {attributes(letter)["ce_type"] for letter in letters} == {
        contract.type for contract in CONTRACTS if contract.topic == PARTNER_TOPIC
    }
    for letter, event in zip(letters, (ReferralOffered, *LATER, *ENDINGS, ReplyRejected), strict=True):
        assert letter.key == attributes(letter)["ce_subject"].encode()
        assert unwrap("sandbox.awo.referrals.v1", letter.headers, letter.value).source == "/integrationsbuero/routing"
        assert event.model_validate(payload(letter)).model_dump(include={"partner_id"}) == {"partner_id": "awo"}


def test_what_follows_an_offer_is_about_the_same_referral_and_case(trial: Trial) -> None:
    letters = trial.walk()

    assert len({letter.key for letter in letters}) == 1
    assert len({payload(letter)[name] for letter in letters for name in PartnerEvent.model_fields}) == 3


def test_the_numbers_of_a_referral_grow_with_gaps_and_those_of_a_rejection_are_zero(trial: Trial) -> None:
    numbers = [int(attributes(letter)["ce_sequence"]) for letter in trial.walk()]

    assert numbers == [3, 6, 9]
    assert attributes(a_rejection("awo"))["ce_sequence"] == "0"


def test_an_offer_leaves_time_to_respond(trial: Trial) -> None:
    _, offer = trial.offer(Point.OFFER)

    assert payload(offer)["respond_by"] > datetime.now(UTC).date().isoformat()


def test_every_letter_that_is_no_event_has_an_id_of_its_own(trial: Trial) -> None:
    ids = [attributes(letter)["ce_id"] for letter in trial.no_events() if letter.headers]

    assert len(set(ids)) == len(ids) > 5
