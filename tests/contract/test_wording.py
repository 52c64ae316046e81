"""Every event that may travel can be told in a sentence."""

import re
from datetime import UTC, date, datetime

import pytest
from contract_samples import samples_of
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import CONTRACTS, Contract, Event
from shared.contracts.base import UUID_PATTERN, new_id
from shared.contracts.codes import AgeBand, AppointmentMode, Concern, PauseReason, Urgency
from shared.contracts.partners import ReplyPaused
from shared.contracts.routing import AgreementEnding, OfferedConcern, ReferralOffered, ReferralScheduled, ServicePaused
from wegweiser.wording import sentence

ID = re.compile(UUID_PATTERN.strip("^$"))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
@settings(max_examples=15)
@given(data=st.data())
def test_every_contract_has_a_sentence_without_ids(contract: Contract, data: st.DataObject) -> None:
    said = sentence(data.draw(samples_of(contract.event)))

    assert said == said.strip()
    assert said.isprintable()
    assert "None" not in said
    assert not ID.search(said)


def test_codes_are_told_as_words() -> None:
    offered = ReferralOffered(
        partner_id="awo",
        referral_id=new_id(),
        case_id=new_id(),
        agreement="2017-01-09",
        rules=("awo-work",),
        concerns=(
            OfferedConcern(
                concern_id=new_id(), code=Concern.JOB_SEARCH, person_id=new_id(), age_band=AgeBand.YOUNG_ADULT
            ),
        ),
        languages=("ar",),
        urgency=Urgency.NORMAL,
        respond_by=date(2017, 3, 14),
    )

    assert sentence(offered) == "awo is asked to take job search, answer by 2017-03-14"


def test_appointments_are_told_in_the_time_on_the_wall() -> None:
    scheduled = ReferralScheduled(
        partner_id="vhs",
        referral_id=new_id(),
        case_id=new_id(),
        appointment_id=new_id(),
        starts_at=datetime(2017, 7, 3, 7, 30, tzinfo=UTC),
        minutes=30,
        place="office",
        mode=AppointmentMode.ON_SITE,
    )

    assert sentence(scheduled) == "vhs is told of the appointment on 2017-07-03 09:30"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (ServicePaused, "awo: service paused, client away, review on 2026-12-01"),
        (ReplyPaused, "the partner answers: paused, client away, review on 2026-12-01"),
    ],
)
def test_codes_and_days_are_told_of_events_without_words_of_their_own(event: type[Event], said: str) -> None:
    facts = {"partner_id": "awo", "referral_id": new_id(), "case_id": new_id()}
    told = event.model_validate({**facts, "reason": PauseReason.CLIENT_AWAY, "review_on": date(2026, 12, 1)})

    assert sentence(told) == said


@pytest.mark.parametrize(
    ("days_left", "said"),
    [
        (30, "the agreement 2024-01-01 ends on 2026-12-31, in 30 days, and no other follows"),
        (0, "the agreement 2024-01-01 ended on 2026-12-31"),
    ],
)
def test_the_end_of_an_agreement_is_told_before_and_after(days_left: int, said: str) -> None:
    ending = AgreementEnding(agreement="2024-01-01", valid_to=date(2026, 12, 31), days_left=days_left)

    assert sentence(ending) == said
