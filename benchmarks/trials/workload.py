"""What every hop does: a referred case comes in; its state, a mark that it was seen and one event out follow."""

import asyncio
import resource
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream.kafka import KafkaBroker
from faststream.security import SASLScram512

from benchmarks.trials.process import Assignment
from shared.contracts.base import derived_id, new_id
from shared.contracts.codes import AgeBand, Concern, LegalBasisKind, Municipality, ReferralState, Urgency
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.contracts.routing import CaseProgressed, Standing
from shared.envelope import Cause, headers_of, source_of
from shared.kafka_access import KafkaAccess
from shared.pipeline.outbox import row_of

IN, OUT = "intake.cases.v1", "routing.referrals.v1"


class Hop(Assignment):
    """Handle `records` records as the group `name`, which was put before the first of them.

    The database has the same name and is dropped, unless another one is given, which is kept.
    """

    name: str
    records: int
    batch_records: int = 1000
    database: str | None = None


@dataclass
class Stopwatch:
    """Runs from the first record a consumer of this process gets until `stop`."""

    began: float = 0.0
    cpu_began: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def watch(self) -> None:
        """Start with the first record that the Kafka client hands out, whoever asks it."""
        for name in ("getone", "getmany"):
            setattr(AIOKafkaConsumer, name, self._starting(getattr(AIOKafkaConsumer, name)))

    def _starting(self, fetch: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def fetching(consumer: AIOKafkaConsumer, *args: Any, **options: Any) -> Any:
            found = await fetch(consumer, *args, **options)
            if found and not self.began:
                self.began, self.cpu_began = time.perf_counter(), time.process_time()
            return found

        return fetching

    def stop(self) -> None:
        """All effects are done."""
        if not self.done.is_set():
            self.seconds = time.perf_counter() - self.began
            self.cpu_seconds = time.process_time() - self.cpu_began
            self.done.set()

    def result(self, records: int) -> dict[str, float]:
        """What a trial prints."""
        return {
            "rate": records / self.seconds,
            "cpu_microseconds": self.cpu_seconds / records * 1e6,
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def a_case(
    case_id: str | None = None, code: Concern = Concern.GERMAN_COURSE, town: Municipality = Municipality.EPPSTEIN
) -> CaseOpened:
    """One person with one concern."""
    person_id = new_id()
    return CaseOpened(
        case_id=case_id or new_id(),
        person_id=person_id,
        received_at=datetime.now(UTC),
        municipality=town,
        languages=("uk", "en"),
        urgency=Urgency.NORMAL,
        legal_basis=LegalBasis(kind=LegalBasisKind.CONSENT),
        concerns=(ConcernFacts(concern_id=new_id(), code=code, person_id=person_id, age_band=AgeBand.ADULT),),
    )


def progressed(case: CaseOpened, now: datetime) -> CaseProgressed:
    """The event that follows."""
    standing = Standing(
        referral_id=derived_id(case.case_id, "vhs"),
        partner_id="vhs",
        state=ReferralState.OFFERED,
        concerns=tuple(concern.concern_id for concern in case.concerns),
        since=now,
    )
    return CaseProgressed(case_id=case.case_id, standings=(standing,))


def codes_of(case: CaseOpened) -> tuple[str, ...]:
    """What a state keeps of a case."""
    return tuple(concern.code for concern in case.concerns)


def broker_of(kafka: KafkaAccess) -> KafkaBroker:
    """FastStream's broker as a tutorial would make it, signed in."""
    options = kafka.options
    security = None
    if options["security_protocol"] != "PLAINTEXT":
        user, password = options["sasl_plain_username"], options["sasl_plain_password"]
        security = SASLScram512(user, password, ssl_context=options["ssl_context"], use_ssl=True)
    return KafkaBroker(kafka.kafka_bootstrap, security=security, acks="all", enable_idempotence=True, logger=None)


async def write_cases(kafka: KafkaAccess, cases: Iterable[CaseOpened]) -> None:
    """Write each case as intake would."""
    source, now = source_of("intake"), datetime.now(UTC)
    producer = AIOKafkaProducer(**kafka.options, acks="all", linger_ms=5)
    await producer.start()
    try:
        acknowledgements = []
        for case in cases:
            row = row_of(case, Cause.begin(), 0, None, 1, now)
            key, value = row["subject"].encode(), row["data"].encode()
            acknowledgements.append(await producer.send(IN, value, key, headers=headers_of(row, source)))
        await asyncio.gather(*acknowledgements)
    finally:
        await producer.stop()
