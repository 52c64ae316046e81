"""A partner's software on trial: what is right passes, and each kind of fault is named."""

from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from partner_replies import PREFIX, a_record, a_reply, a_structured_reply

from shared.contracts.base import new_id
from shared.contracts.routing import PartnerEvent
from wegweiser.letters import ENDINGS, Letter
from wegweiser.scenario import Point, Trial

GUIDE = Path(__file__).parents[3] / "docs" / "partners.md"


def referral_of(letter: Letter) -> str:
    assert letter.key is not None
    return letter.key.decode()


@pytest.fixture
def trial() -> Trial:
    return Trial("awo")


def test_an_offer_that_was_accepted_passes(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.OFFER)
    assert trial.unanswered(Point.OFFER) == [referral_id]

    trial.hear(a_reply(referral_id))

    assert trial.unanswered(Point.OFFER) == []
    assert [trial.verdict(point) for point in Point] == [[] for _ in Point]


def test_the_same_reply_again_is_no_second_effect(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.REPEATED)
    for _ in range(2):
        trial.hear(a_reply(referral_id, id_="derived"))

    assert trial.verdict(Point.REPEATED) == []


def test_what_others_and_earlier_runs_left_counts_for_nothing(trial: Trial) -> None:
    trial.hear(a_reply(new_id()))

    assert [trial.verdict(point) for point in Point] == [[] for _ in Point]


def test_an_answer_before_the_withdrawal_passes(trial: Trial) -> None:
    awaited, _ = trial.offer(Point.WITHDRAWN)
    trial.hear(a_reply(awaited, id_="first"))
    trial.ending(awaited)
    at_once, _ = trial.offer(Point.WITHDRAWN)
    trial.ending(at_once, at_once=True)
    trial.hear(a_reply(awaited, id_="first"))
    trial.hear(a_reply(at_once))

    assert trial.verdict(Point.WITHDRAWN) == []


def test_of_what_is_newer_only_the_offer_wants_an_answer(trial: Trial) -> None:
    offer, *_ = trial.newer()

    assert trial.unanswered(Point.NEWER) == [referral_of(offer)]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda event: event.__name__)
def test_what_ended_at_once_wants_no_answer_and_may_have_one(trial: Trial, ending: type[PartnerEvent]) -> None:
    referral_id, _ = trial.offer(Point.WITHDRAWN)
    trial.ending(referral_id, ending, at_once=True)

    assert trial.unanswered(Point.WITHDRAWN) == []
    trial.hear(a_reply(referral_id))
    assert trial.verdict(Point.WITHDRAWN) == []


def test_an_answer_to_what_is_no_event_is_named(trial: Trial) -> None:
    *_, broken = trial.no_events()
    trial.hear(a_reply(referral_of(broken)))

    [fault] = trial.verdict(Point.NO_EVENT)
    assert "answers what is no event" in fault


def test_who_is_to_decline_and_accepts_is_named(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.DECLINED)
    trial.hear(a_reply(referral_id))

    [fault] = trial.verdict(Point.DECLINED)
    assert "reply.accepted.v1 instead of a reply.declined" in fault


def test_who_declines_what_is_to_be_accepted_is_named(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.OFFER)
    trial.hear(a_reply(referral_id, "reply.declined", reason="capacity"))

    [fault] = trial.verdict(Point.OFFER)
    assert "reply.declined.v1; this one has to be accepted, or asked about first" in fault


def test_a_question_comes_before_an_acceptance(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.OFFER)
    trial.hear(a_reply(referral_id, "reply.clarification-requested", topic="documents"))

    assert trial.verdict(Point.OFFER) == []


def test_one_id_for_two_replies_is_named(trial: Trial) -> None:
    first, second = (trial.offer(Point.BURST)[0] for _ in range(2))
    trial.hear(a_reply(first, id_="one"))
    trial.hear(a_reply(first, "reply.started", id_="one"))
    trial.hear(a_reply(second, id_="one"))

    same = f"has the ce_id one of the {PREFIX}reply.accepted.v1 about {first}, so it takes no effect"
    assert [fault.endswith(same) for fault in trial.verdict(Point.FORM)] == [True, True]


SERVED: list[tuple[str, dict[str, str]]] = [
    ("reply.accepted", {}),
    ("reply.started", {}),
    ("reply.completed", {"outcome": "helped"}),
]


def test_a_service_is_awaited_to_its_end_and_may_be_told_of_again(trial: Trial) -> None:
    referral_id = referral_of(trial.walk()[0])
    for what, facts in SERVED:
        assert trial.unanswered(Point.ORDER) == [referral_id]
        trial.hear(a_reply(referral_id, what, id_=what, **facts))
    trial.hear(a_reply(referral_id, "reply.accepted", id_="reply.accepted"))

    assert trial.unanswered(Point.ORDER) == []
    assert trial.verdict(Point.ORDER) == []


def test_a_service_in_another_order_is_named(trial: Trial) -> None:
    referral_id = referral_of(trial.walk()[0])
    for what, facts in (SERVED[0], SERVED[2], SERVED[1]):
        trial.hear(a_reply(referral_id, what, **facts))

    [fault] = trial.verdict(Point.ORDER)
    assert "not in the order of its events" in fault


def test_what_was_answered_can_be_told_again(trial: Trial) -> None:
    answered, offer = trial.offer(Point.RESTART)
    trial.offer(Point.RESTART)
    trial.hear(a_reply(answered))

    assert trial.answered(Point.RESTART) == [offer]


def test_only_a_first_answer_counts(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.OFFER)
    for _ in range(2):
        trial.hear(a_reply(referral_id))
    trial.hear(a_reply(new_id()))
    trial.hear(a_reply("awo", "capacity.reported", partner_id="awo", code="debt", status="none"))

    assert (trial.answers, trial.strange) == (1, 1)


def test_silence_is_named(trial: Trial) -> None:
    referrals = [trial.offer(Point.BURST)[0] for _ in range(5)]

    [fault] = trial.verdict(Point.BURST)
    assert fault == f"no answer to {', '.join(referrals[:3])} and 2 more"


def test_two_ids_for_one_answer_are_named(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.REPEATED)
    for _ in range(2):
        trial.hear(a_reply(referral_id))

    [fault] = trial.verdict(Point.REPEATED)
    assert "2 times under different ids" in fault
    assert "sandbox.awo.replies.v1/3/17" in fault


def test_two_answers_that_exclude_each_other_are_named(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.OFFER)
    trial.hear(a_reply(referral_id))
    trial.hear(a_reply(referral_id, "reply.declined", reason="capacity"))

    [fault] = trial.verdict(Point.OFFER)
    assert "both accepted and declined" in fault


def test_what_is_no_answer_is_named(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.OFFER)
    trial.hear(a_reply(referral_id, "reply.started"))

    [fault] = trial.verdict(Point.OFFER)
    assert "reply.started.v1 answers no offer" in fault


def test_a_word_after_the_withdrawal_is_named(trial: Trial) -> None:
    referral_id, _ = trial.offer(Point.WITHDRAWN)
    trial.hear(a_reply(referral_id))
    trial.ending(referral_id)
    trial.hear(a_reply(referral_id, "reply.started"))

    [fault] = trial.verdict(Point.WITHDRAWN)
    assert "reply.started.v1 after it ended" in fault


def test_an_answer_to_an_unknown_version_is_named(trial: Trial) -> None:
    offer, version, type_ = trial.newer()
    for letter in (offer, version, type_):
        trial.hear(a_reply(referral_of(letter)))

    assert len(trial.verdict(Point.NEWER)) == 2
    assert all("whose type it cannot know" in fault for fault in trial.verdict(Point.NEWER))


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (a_record(b"k", b"{}", []), "bad_headers"),
        (a_record(b"k", None, []), "empty"),
        (a_reply("0", "reply.greeted"), "none of a partner's"),
        (a_reply("0", "referral.offered"), "none of a partner's"),
        (a_reply("no id"), "does not fit its contract in: referral_id"),
        (a_reply(new_id(), "reply.declined"), "does not fit its contract in: reason"),
        (a_reply(new_id(), "reply.declined", reason="no time"), "does not fit its contract in: reason"),
        (a_reply(new_id(), key="awo"), "the key is not"),
        (a_reply(new_id(), source="/partner/vhs"), "ce_source /partner/vhs is not /partner/awo"),
        (a_reply(new_id(), time="2026-11-02 09:00"), "ce_time 2026-11-02 09:00 is no time of RFC 3339 with an offset"),
        (a_reply(new_id(), subject="awo"), "ce_subject awo is not"),
        (a_structured_reply(subject="awo"), "ce_subject awo is not"),
        (a_structured_reply(time="today"), "ce_time today is no time"),
        (a_reply(new_id(), time="2999-01-01T00:00:00Z"), "2999-01-01 00:00:00+00:00 has not come yet"),
        (
            a_reply("vhs", "capacity.reported", partner_id="vhs", code="debt", status="none"),
            "the capacity of vhs, which is another partner",
        ),
    ],
)
def test_a_reply_that_cannot_be_used_is_named_with_its_place(trial: Trial, record: ConsumerRecord, fault: str) -> None:
    trial.hear(record)

    [found] = trial.verdict(Point.FORM)
    assert found.startswith("sandbox.awo.replies.v1/3/17: ")
    assert fault in found


def test_the_guide_tells_more_of_every_point() -> None:
    headings = {
        line.lstrip("# ").lower().replace(" ", "-") for line in GUIDE.read_text().splitlines() if line[:1] == "#"
    }

    assert {point.read_on.partition("#")[2] for point in Point} <= headings
