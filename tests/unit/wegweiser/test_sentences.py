"""Events in the words of the office."""

from datetime import UTC, datetime

import pytest

from shared.contracts import Event
from shared.contracts.codes import MessageOutcome, UnplacedReason
from shared.contracts.notify import MessageSettled
from shared.contracts.routing import ReferralScheduled, ReferralUnplaced
from wegweiser.wording import sentence


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            ReferralUnplaced.model_construct(concerns=({},), reason=UnplacedReason.OFFICE_TASK),
            "1 concern for the office itself",
        ),
        (
            ReferralUnplaced.model_construct(concerns=({}, {}), reason=UnplacedReason.NO_RULE),
            "2 concerns left to the office: no rule",
        ),
        (
            MessageSettled.model_construct(channel=None, language=None, outcome=MessageOutcome.NO_CHANNEL),
            "no message: no mail address that may be used",
        ),
        (
            ReferralScheduled.model_construct(partner_id="awo", starts_at=datetime(2026, 7, 1, 7, tzinfo=UTC)),
            "awo is told of the appointment on 2026-07-01 09:00",
        ),
    ],
)
def test_an_event_is_told_in_plain_words(event: Event, told: str) -> None:
    assert sentence(event) == told
