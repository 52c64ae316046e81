"""A toy service: it writes down what took effect in a case, in which order, and tells one or two partners of it.

It reads what routing tells a partner of its own, so that each trial has topics to itself. An event says by its first
language what happens to it, because it carries no free text.
"""

import re
from datetime import datetime
from typing import Any, Final

from shared.contracts.codes import WithdrawalReason
from shared.contracts.routing import ReferralAccepted, ReferralWithdrawn
from shared.kafka_access import KafkaAccess
from shared.mongo import Database
from shared.pipeline.decisions import Aggregate, Decision, Reaction, Received
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.reading import Subscription
from shared.pipeline.states import MongoStates
from shared.settings import ServiceSettings

CASES: Final = "cases"
PLAIN, TELLS_TWO, TELLS_NOBODY, RAISES, TOO_LARGE = "uk", "two", "nil", "bad", "big"
_HOW_MANY: Final = {TELLS_TWO: 2, TELLS_NOBODY: 0}
HUGE: Final = 10**30


class Tally(Aggregate):
    """What took effect in one case: the ids of the events in order, an amount that the store may refuse, and when."""

    effects: tuple[str, ...] = ()
    amount: int = 0
    changed_at: datetime | None = None


class Tallies(MongoStates[Tally]):
    """The tallies, by case."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, CASES, Tally)


class Names:
    """What belongs to one trial: its service, its topics, its partners."""

    def __init__(self, run: str) -> None:
        self.service = run
        self.reading_partner = f"{run}-reads"
        self.partner = run
        self.second_partner = f"{run}-second"
        self.incoming = f"partner.{self.reading_partner}.referrals.v1"
        self.second_incoming = f"partner.{self.reading_partner}-too.referrals.v1"
        self.outgoing = f"partner.{self.partner}.referrals.v1"
        self.second_outgoing = f"partner.{self.second_partner}.referrals.v1"
        self.dead_letters = f"{run}.dead-letters.v1"


class Counting:
    """The decision: one more effect, told to one partner, to two or to nobody."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __call__(self, received: Received[ReferralAccepted], known: Tally | None, now: datetime) -> Decision[Tally]:
        """Count the event; refuse or fail where it asks for that."""
        event = received.event
        behaviour = event.languages[0]
        if behaviour == RAISES:
            raise ArithmeticError("the event asks for it")
        tally = known or Tally(id=event.case_id)
        after = tally.model_copy(
            update={
                "effects": (*tally.effects, received.cause.id),
                "amount": HUGE if behaviour == TOO_LARGE else tally.amount + 1,
                "changed_at": now,
            }
        )
        partners = [self._names.partner, self._names.second_partner][: _HOW_MANY.get(behaviour, 1)]
        return Decision(after, tuple(told(partner, event.case_id) for partner in partners))


def told(partner_id: str, case_id: str) -> ReferralWithdrawn:
    """What the toy tells a partner; the case's id serves as the referral's."""
    return ReferralWithdrawn(
        partner_id=partner_id, referral_id=case_id, case_id=case_id, reason=WithdrawalReason.BY_SENDER
    )


def reactions(names: Names) -> list[Reaction[Any, Tally]]:
    """The toy reacts to one event only."""
    return [Reaction(ReferralAccepted, Counting(names), lambda event: event.case_id)]


def subscription(names: Names) -> Subscription:
    """The toy reads its own incoming topics."""
    return Subscription(f"^({re.escape(names.incoming)}|{re.escape(names.second_incoming)})$", names.service)


def pipeline(
    names: Names, database: Database, kafka: KafkaAccess, mongo: str, *, batch_records: int = 1000
) -> Pipeline[Tally]:
    """The toy, ready to be started."""
    settings = ServiceSettings(**{**dict(kafka), "mongo_url": mongo, "port": 1, "batch_records": batch_records})
    return Pipeline(
        names.service, settings, database, Tallies(database), reactions(names), [subscription(names)], migrations=()
    )
