"""Partners reply on their topics: good replies lead a referral through its life, each bad one is answered once."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from routed import (
    BETA_HANDS_ON,
    ONLY_ALPHA,
    PARTNERS,
    Letter,
    Routed,
    a_letter,
    queue_of,
    said_by,
    structured,
)
from toy.trial import eventually

from services.routing.domain.case import Referral
from shared.contracts.base import new_id
from shared.contracts.codes import (
    CapacityStatus,
    ClarificationTopic,
    DeclineReason,
    FailureReason,
    HandOnReason,
    PauseReason,
    ServiceOutcome,
)
from shared.contracts.codes import ReferralState as S
from shared.contracts.partners import (
    CapacityReported,
    Reply,
    ReplyAccepted,
    ReplyClarificationAnswered,
    ReplyClarificationRequested,
    ReplyCompleted,
    ReplyDeclined,
    ReplyFailed,
    ReplyHandedOn,
    ReplyPaused,
    ReplyReopened,
    ReplyResumed,
    ReplyStarted,
)
from shared.envelope import rfc3339, source_of, source_of_partner

TODAY: Final = datetime.now(UTC).date()
A_WEEK: Final = timedelta(days=7)
MODES: Final[Mapping[str, Callable[[Letter], Letter]]] = {"binary": lambda letter: letter, "structured": structured}


async def one_referral(live: Routed, code: Any) -> str:
    [case_id] = await live.open_cases(1, code)
    [case] = await eventually(lambda: live.all_stand([case_id], S.OFFERED), what="the offer")
    return case.referrals[0].id


async def now(live: Routed, referral_id: str) -> Referral:
    await eventually(live.at_rest, what="rest")
    [case] = await live.cases([referral_id])
    return next(one for one in case.referrals if one.id == referral_id)


async def led(live: Routed, referral_id: str, partner_id: str, *replies: Reply, mode: str = "binary") -> Referral:
    """The referral after these replies, each written when the one before had taken effect."""
    for reply in replies:
        await live.write(MODES[mode](a_letter("partner", reply, partner_id)))
        await eventually(live.at_rest, what="rest")
    return await now(live, referral_id)


@pytest.mark.parametrize("mode", MODES)
async def test_good_replies_lead_a_referral_through_its_whole_life(live: Routed, mode: str) -> None:
    id_ = await one_referral(live, BETA_HANDS_ON)
    said: Mapping[str, Any] = {"referral_id": id_}

    led_to = await led(
        live,
        id_,
        "beta",
        ReplyClarificationRequested(topic=ClarificationTopic.CONTACT, **said),
        ReplyClarificationAnswered(**said),
        ReplyAccepted(**said),
        mode=mode,
    )
    assert led_to.state is S.ACCEPTED
    [case] = await live.cases([id_])
    await live.book(case, led_to)
    assert (await now(live, id_)).state is S.SCHEDULED
    led_to = await led(
        live,
        id_,
        "beta",
        ReplyStarted(**said),
        ReplyPaused(reason=PauseReason.ILLNESS, review_on=TODAY + A_WEEK, **said),
        ReplyResumed(**said),
        ReplyCompleted(outcome=ServiceOutcome.PARTLY_HELPED, **said),
        ReplyReopened(**said),
        ReplyFailed(reason=FailureReason.UNREACHABLE, **said),
        ReplyReopened(**said),
        ReplyHandedOn(reason=HandOnReason.CHANGED_NEED, to="gamma", **said),
        mode=mode,
    )
    assert led_to.state is S.HANDED_ON

    queue = [
        (type_, data["referral_id"])
        for type_, data in said_by(await live.records(queue_of("beta"))).values()
        if data.get("case_id") == case.id
    ]
    assert queue == [
        (type_, id_)
        for type_ in (
            "referral.offered",
            "clarification.requested",
            "clarification.answered",
            "referral.accepted",
            "referral.scheduled",
            "service.started",
            "service.paused",
            "service.resumed",
            "referral.completed",
            "referral.reopened",
            "referral.failed",
            "referral.reopened",
            "referral.handed-on",
        )
    ]
    [case] = await live.cases([id_])
    assert [(one.state, one.partner_id, one.follows) for one in case.referrals[1:]] == [(S.OFFERED, "gamma", id_)]


@dataclass(frozen=True)
class Known:
    """Referrals of alpha in several states, and two of the others."""

    offered: str
    accepted: str
    in_service: str
    completed: str
    long_completed: str
    declined: str
    of_beta: str
    handed_on_to_gamma: str


@pytest.fixture(scope="module")
async def known(live: Routed) -> Known:
    ids = [await one_referral(live, ONLY_ALPHA) for _ in range(6)]
    offered, accepted, in_service, completed, long_completed, declined = ids
    of_beta, handed_on = [await one_referral(live, BETA_HANDS_ON) for _ in range(2)]
    for id_ in (accepted, in_service, completed, long_completed):
        await live.reply("alpha", ReplyAccepted(referral_id=id_))
    for id_ in (in_service, completed, long_completed):
        await live.reply("alpha", ReplyStarted(referral_id=id_))
    for id_ in (completed, long_completed):
        await live.reply("alpha", ReplyCompleted(referral_id=id_, outcome=ServiceOutcome.HELPED))
    await live.reply("alpha", ReplyDeclined(referral_id=declined, reason=DeclineReason.LANGUAGE))
    await live.reply("beta", ReplyAccepted(referral_id=handed_on))
    await live.reply("beta", ReplyHandedOn(referral_id=handed_on, reason=HandOnReason.LANGUAGE, to="gamma"))
    await eventually(live.at_rest, what="rest")
    [case] = await live.cases([handed_on])
    gammas = case.referrals[-1].id
    await live.reply("gamma", ReplyAccepted(referral_id=gammas))
    await eventually(live.at_rest, what="rest")
    await live.database["cases"].update_one(
        {"referrals.id": long_completed},
        {"$set": {"referrals.0.reopen_until": (TODAY - A_WEEK).isoformat()}},
    )
    return Known(offered, accepted, in_service, completed, long_completed, declined, of_beta, gammas)


def alpha(reply: Reply | CapacityReported, **attributes: str) -> Letter:
    return a_letter("partner", reply, "alpha", **attributes)


def saying(letter: Letter, **fields: Any) -> Letter:
    """The same with other fields in its payload, which no contract allows."""
    return replace(letter, value=json.dumps(json.loads(letter.value) | fields).encode())


def report(partner_id: str = "alpha", code: Any = ONLY_ALPHA, **said: Any) -> CapacityReported:
    return CapacityReported(**{"partner_id": partner_id, "code": code, "status": CapacityStatus.AVAILABLE} | said)


def to(known: str, whom: str) -> ReplyHandedOn:
    return ReplyHandedOn(referral_id=known, reason=HandOnReason.MOVED, to=whom)


def paused(known: str, until: date) -> ReplyPaused:
    return ReplyPaused(referral_id=known, reason=PauseReason.OTHER, review_on=until)


IN_TWO_DAYS: Final = rfc3339(datetime.now(UTC) + timedelta(days=2))
TYPE: Final = "de.integrationsbuero.{}.v1"
LAST_DAY: Final = date(9999, 12, 31)
Answer = tuple[str, str | None, list[str]]

BAD: Final[Mapping[str, tuple[Callable[[Known], Letter], Answer]]] = {
    "of_another_partner": (
        lambda k: a_letter("partner", ReplyAccepted(referral_id=k.offered), "beta"),
        ("unknown_referral", None, []),
    ),
    "foreign": (lambda k: alpha(ReplyAccepted(referral_id=k.of_beta)), ("unknown_referral", None, [])),
    "unknown": (lambda _: alpha(ReplyAccepted(referral_id=new_id())), ("unknown_referral", None, [])),
    "finished": (
        lambda k: alpha(ReplyAccepted(referral_id=k.completed)),
        ("wrong_state", "completed", ["offered"]),
    ),
    "declined": (lambda k: alpha(ReplyAccepted(referral_id=k.declined)), ("wrong_state", "declined", ["offered"])),
    "twice_under_another_id": (
        lambda k: alpha(ReplyAccepted(referral_id=k.accepted)),
        ("wrong_state", "accepted", ["offered"]),
    ),
    "completed_before_started": (
        lambda k: alpha(ReplyCompleted(referral_id=k.offered, outcome=ServiceOutcome.HELPED)),
        ("wrong_state", "offered", ["in_service"]),
    ),
    "resumed_without_pause": (
        lambda k: alpha(ReplyResumed(referral_id=k.in_service)),
        ("wrong_state", "in_service", ["on_hold"]),
    ),
    "reopened_too_late": (lambda k: alpha(ReplyReopened(referral_id=k.long_completed)), ("too_late", "completed", [])),
    "from_the_future": (
        lambda k: alpha(ReplyAccepted(referral_id=k.offered), time=IN_TWO_DAYS),
        ("from_the_future", None, []),
    ),
    "unknown_reason": (
        lambda k: saying(alpha(ReplyDeclined(referral_id=k.offered, reason=DeclineReason.OTHER)), reason="the weather"),
        ("invalid", None, []),
    ),
    "no_referral": (
        lambda k: saying(alpha(ReplyAccepted(referral_id=k.offered)), referral_id="42"),
        ("invalid", None, []),
    ),
    "as_another_partner": (
        lambda k: alpha(ReplyAccepted(referral_id=k.offered), source=source_of_partner("beta")),
        ("unreadable", None, []),
    ),
    "as_one_of_us": (
        lambda k: alpha(ReplyAccepted(referral_id=k.offered), source=source_of("routing")),
        ("unreadable", None, []),
    ),
    "unknown_type": (
        lambda k: alpha(ReplyAccepted(referral_id=k.offered), type=TYPE.format("reply.sung")),
        ("unknown_type", None, []),
    ),
    "what_only_routing_says": (
        lambda k: alpha(ReplyAccepted(referral_id=k.offered), type=TYPE.format("referral.accepted")),
        ("unknown_type", None, []),
    ),
    "paused_until_last_week": (
        lambda k: alpha(paused(k.in_service, TODAY - A_WEEK)),
        ("in_the_past", "in_service", []),
    ),
    "paused_until_9999": (lambda k: alpha(paused(k.in_service, LAST_DAY)), ("from_the_future", "in_service", [])),
    "handed_on_to_itself": (lambda k: alpha(to(k.accepted, "alpha")), ("target_not_possible", "accepted", [])),
    "handed_on_to_nobody": (lambda k: alpha(to(k.accepted, "omega")), ("target_not_possible", "accepted", [])),
    "handed_on_past_the_agreement": (lambda k: alpha(to(k.accepted, "gamma")), ("target_not_possible", "accepted", [])),
    "handed_on_in_a_loop": (
        lambda k: a_letter("partner", to(k.handed_on_to_gamma, "beta"), "gamma"),
        ("target_not_possible", "accepted", []),
    ),
    "capacity_of_another": (lambda _: alpha(report("beta", BETA_HANDS_ON)), ("invalid", None, [])),
    "capacity_of_a_field_that_is_not_theirs": (
        lambda _: alpha(report(code=BETA_HANDS_ON)),
        ("not_in_agreement", None, []),
    ),
    "limited_without_places": (lambda _: saying(alpha(report()), status="limited"), ("invalid", None, [])),
    "capacity_until_last_week": (
        lambda _: alpha(report(valid_until=TODAY - A_WEEK)),
        ("in_the_past", None, []),
    ),
    "capacity_until_9999": (lambda _: alpha(report(valid_until=LAST_DAY)), ("from_the_future", None, [])),
    "capacity_from_the_future": (lambda _: alpha(report(), time=IN_TWO_DAYS), ("from_the_future", None, [])),
}


@dataclass(frozen=True)
class Aftermath:
    """By mode and name what was answered, by whose queue; and the state before and after all of it."""

    answers: Mapping[tuple[str, str], list[tuple[str, Answer]]]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    rejections: int


@pytest.fixture(scope="module")
async def aftermath(live: Routed, known: Known) -> Aftermath:
    """All bad replies at once."""
    before = await live.state()
    names = [(mode, name) for mode in MODES for name in BAD]
    letters = [MODES[mode](BAD[name][0](known)) for mode, name in names]
    places = await live.write(*letters)
    await eventually(live.at_rest, what="rest")
    after = await live.state()

    found: dict[tuple[str, int, int], list[tuple[str, Answer]]] = {}
    for partner_id in PARTNERS:
        for type_, data in said_by(await live.records(queue_of(partner_id))).values():
            if type_ == "reply.rejected":
                place = (f"partner.{data['partner_id']}.replies.v1", data["partition"], data["offset"])
                answer = (data["reason"], data["state"], data["expected"])
                found.setdefault(place, []).append((partner_id, answer))
    answers = {
        name: found.get((place.topic, place.partition, place.offset), [])
        for name, place in zip(names, places, strict=True)
    }
    return Aftermath(answers, before, after, sum(map(len, found.values())))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BAD)
async def test_a_bad_reply_is_answered_once_in_its_senders_queue(
    aftermath: Aftermath, known: Known, mode: str, name: str
) -> None:
    letter, answer = BAD[name]
    sender = letter(known).topic.split(".")[1]
    assert aftermath.answers[mode, name] == [(sender, answer)]


async def test_bad_replies_change_nothing(aftermath: Aftermath) -> None:
    assert aftermath.after == aftermath.before
    assert aftermath.rejections == len(MODES) * len(BAD)


async def test_a_reply_that_comes_twice_under_its_id_takes_effect_once_and_is_not_rejected(live: Routed) -> None:
    id_ = await one_referral(live, ONLY_ALPHA)
    rejected = await rejections(live)
    letter = a_letter("partner", ReplyAccepted(referral_id=id_), "alpha")

    await live.write(letter, letter)
    await eventually(live.at_rest, what="rest")
    await live.write(letter, structured(letter))
    await eventually(live.at_rest, what="rest")

    assert (await now(live, id_)).state is S.ACCEPTED
    assert await rejections(live) == rejected


async def rejections(live: Routed) -> int:
    said = said_by(await live.records(*map(queue_of, PARTNERS))).values()
    return sum(type_ == "reply.rejected" for type_, _ in said)


async def test_ten_thousand_bad_replies_are_answered_once_each_and_hold_up_nobody(live: Routed) -> None:
    """Half of them cannot even be read; another partner's good reply takes effect meanwhile, and so does the last."""
    of_alpha, of_beta = await one_referral(live, ONLY_ALPHA), await one_referral(live, BETA_HANDS_ON)
    bad = [a_letter("partner", ReplyAccepted(referral_id=new_id()), "alpha") for _ in range(5_000)]
    bad += [replace(letter, value=b"{") for letter in bad]
    places = {(place.partition, place.offset) for place in await live.write(*bad)}

    async def accepted(referral_id: str) -> bool:
        [case] = await live.cases([referral_id])
        return next(one for one in case.referrals if one.id == referral_id).state is S.ACCEPTED

    await live.write(a_letter("partner", ReplyAccepted(referral_id=of_alpha), "alpha"))
    await live.write(a_letter("partner", ReplyAccepted(referral_id=of_beta), "beta"))
    await eventually(lambda: accepted(of_beta), what="the effect of the other partner's")
    assert not await live.at_rest()

    await eventually(live.at_rest, what="rest", seconds=120)
    assert await accepted(of_alpha)
    told = said_by(await live.records(queue_of("alpha"))).values()
    rejected = [(data["partition"], data["offset"]) for type_, data in told if type_ == "reply.rejected"]
    assert sorted(place for place in rejected if place in places) == sorted(places)
