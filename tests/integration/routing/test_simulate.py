"""`wegweiser agreement simulate` on a real database: what it says, what it refuses, and that it changes nothing."""

import asyncio
import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from click.testing import Result
from typer.testing import CliRunner

from deploy.backends import Backends
from services.routing import agreement_store, repository
from services.routing.agreement_files import load_agreements
from services.routing.agreement_store import AgreementStore
from services.routing.domain.decisions import route, schedule
from services.routing.domain.replies import accept
from services.routing.domain.situation import Situation
from shared import mongo
from shared.contracts import Event
from shared.contracts.base import new_id
from shared.contracts.codes import AgeBand, AppointmentMode, Concern, LegalBasisKind, Municipality, Urgency
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.contracts.partners import ReplyAccepted
from shared.contracts.scheduling import AppointmentBooked
from shared.envelope import Cause
from shared.migrations import migrate
from shared.mongo import Database, transact
from shared.pipeline import outbox
from shared.pipeline.decisions import Decision, Received
from shared.pipeline.outbox import OUTBOX, row_of
from wegweiser.cli import app as command_line
from wegweiser.settings import AGREEMENTS as DIRECTORY

AGREEMENTS = load_agreements(DIRECTORY)
MONDAY = datetime(2017, 3, 13, 9, tzinfo=UTC)
SINCE_JULY = DIRECTORY / "2017-07-01.toml"

Typed = Callable[..., Awaitable[Result]]


@pytest.fixture
async def routing(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Routing's own database, under the name it has in life, and the settings that lead to it."""
    for name, value in backends.kafka.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MONGO_URL", backends.mongo)
    client = mongo.connect(backends.mongo)
    await client.drop_database("routing")
    database = client["routing"]
    await migrate(database, (*outbox.MIGRATIONS, *agreement_store.MIGRATIONS, *repository.MIGRATIONS))
    for term in AGREEMENTS:
        await AgreementStore(database).activate(term, MONDAY)
    yield database
    await client.drop_database("routing")
    client.close()


@pytest.fixture
async def cases(routing: Database) -> list[str]:
    """Two young adults who look for vocational training: accepted the next day, to be seen on Friday, or not yet."""
    return [await a_case(routing, MONDAY, answered=True), await a_case(routing, MONDAY, answered=False)]


async def a_case(database: Database, at: datetime, *, answered: bool) -> str:
    """A case on record, with its journal."""
    person, situation = new_id(), Situation(AGREEMENTS)
    case = CaseOpened(
        case_id=new_id(),
        person_id=person,
        received_at=at,
        municipality=Municipality.HOFHEIM,
        languages=("uk",),
        urgency=Urgency.NORMAL,
        legal_basis=LegalBasis(kind=LegalBasisKind.PUBLIC_TASK),
        concerns=(
            ConcernFacts(
                concern_id=new_id(),
                code=Concern.VOCATIONAL_TRAINING,
                person_id=person,
                age_band=AgeBand.YOUNG_ADULT,
            ),
        ),
    )
    steps = [(at, route(situation, received(case), None, at))]
    [referral] = (state := steps[-1][1].state).referrals  # type: ignore[union-attr]
    if answered:
        day, reply = at + timedelta(days=1), ReplyAccepted(referral_id=referral.id)
        steps.append((day, accept(situation, received(reply, referral.partner_id), state, day)))
        state = steps[-1][1].state
        booked = AppointmentBooked(
            case_id=case.case_id,
            referral_id=referral.id,
            partner_id=referral.partner_id,
            appointment_id=new_id(),
            person_id=person,
            languages=("uk",),
            starts_at=at + timedelta(days=4),
            minutes=30,
            place="integrationsbuero",
            mode=AppointmentMode.ON_SITE,
        )
        steps.append((day, schedule(situation, received(booked), state, day)))
        state = steps[-1][1].state
    await kept(database, case.case_id, steps)
    return case.case_id


def received(event: Event, by: str | None = None) -> Received[Event]:
    return Received(event, Cause.begin(), 0, "", 0, 0, by)


async def kept(database: Database, case_id: str, steps: list[tuple[datetime, Decision]]) -> None:
    """What the pipeline would have written."""
    state = steps[-1][1].state.model_copy(update={"version": 1})
    rows = [
        row_of(event, Cause.begin(), index, case_id, number, at)
        for number, (at, decision) in enumerate(steps, 1)
        for index, event in enumerate(decision.events)
    ]
    cases = repository.RoutedCases(database, AgreementStore(database))
    await transact(database, lambda session: cases.save([(0, state)], session))
    await database[OUTBOX].insert_many(rows)


async def typed(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command_line, ("agreement", "simulate", *arguments))


async def everything(database: Database) -> Mapping[str, list[bytes]]:
    """Every collection as its bytes, documents and indexes."""
    raw = CodecOptions(document_class=RawBSONDocument)
    found = {}
    for name in await database.list_collection_names():
        documents = database.get_collection(name, codec_options=raw).find().sort("_id", 1)
        indexes = sorted((await database[name].index_information()).items())
        found[name] = [*[document.raw async for document in documents], str(indexes).encode()]
    return found


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@pytest.mark.usefixtures("cases")
async def test_it_says_who_would_get_how_many_and_how_long_they_would_wait(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"

    done = await typed(str(SINCE_JULY), "--from", "2017-03-13", "--to", "2017-03-13", "--csv", str(file))

    assert done.exit_code == 0, done.output
    assert "2017-07-01 tried out on 2 cases" in done.stdout
    rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    shares = {(r["who"], r["figure"]): (r["now"], r["then"], r["difference"]) for r in rows if r["table"] == "shares"}
    assert shares["awo", "cases"] == ("2", "0", "-2")
    assert shares["diakonie", "concerns"] == ("0", "2", "2")
    waits = {(r["who"], r["figure"]): (r["now"], r["then"]) for r in rows if r["table"] == "waiting"}
    assert waits["awo", "working days until answer, median"] == ("1", "1")
    assert waits["awo", "working days until appointment, 9 of 10"] == ("4", "4")
    assert waits["diakonie", "working days until answer, median"] == ("unknown", "unknown")
    assert waits["all", "working days until answer, median"] == ("1", "unknown")
    assert all(figure.startswith("working days ") for _, figure in waits), "no cases among days"
    uncounted = [(r["figure"], r["now"], r["then"]) for r in rows if r["table"] == "without records"]
    assert uncounted == [("cases until answer", "0", "2"), ("cases until appointment", "0", "2")]
    assert "cases now" in done.stdout.partition("not counted there")[2]


async def test_it_changes_nothing(routing: Database, cases: list[str], tmp_path: Path) -> None:
    before = await everything(routing)

    done = await typed(str(SINCE_JULY), "--from", "2017-01-01", "--to", "2017-12-31")

    assert done.exit_code == 0, done.output
    assert len(before["cases"]) > len(cases)
    assert await everything(routing) == before
    assert names_in(tmp_path) == []


@pytest.mark.usefixtures("cases")
@pytest.mark.parametrize(
    ("first", "last", "number"), [("03-13", "03-13", "2"), ("03-12", "03-14", "2"), ("03-14", "03-20", None)]
)
async def test_only_cases_of_these_days_are_replayed(first: str, last: str, number: str | None) -> None:
    done = await typed(str(SINCE_JULY), "--from", f"2017-{first}", "--to", f"2017-{last}")

    assert (f"tried out on {number} cases" in done.stdout) if number else ("no case was received" in done.stderr)


async def test_days_are_those_of_the_district(routing: Database) -> None:
    await a_case(routing, datetime(2017, 3, 13, 23, 30, tzinfo=UTC), answered=False)

    done = await typed(str(SINCE_JULY), "--from", "2017-03-14", "--to", "2017-03-14")

    assert "tried out on 1 cases" in done.stdout


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (None, (), "cannot be read"),
        ("version = ", (), "is not TOML"),
        (SINCE_JULY.read_text().replace('takers = ["vhs"]', 'takers = ["vhs", "nobody"]'), (), "no partner"),
        (SINCE_JULY.read_text(), ("--to", "2016-12-31"), "--to 2016-12-31 lies before --from 2017-01-01"),
        (SINCE_JULY.read_text(), (), "no case was received from 2017-01-01 to 2017-12-31"),
    ],
)
@pytest.mark.usefixtures("routing")
async def test_what_cannot_be_tried_out_is_said(
    tmp_path: Path, text: str | None, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "new.toml"
    if text is not None:
        file.write_text(text)

    done = await typed(str(file), "--from", "2017-01-01", "--to", "2017-12-31", *arguments)

    assert done.exit_code == 1
    assert said in done.stderr
