"""Records set aside: found, shown, replayed and discarded, and what is parked behind them follows in order."""

import base64
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from toy.records import Written
from toy.service import RAISES
from toy.trial import Trial, eventually, ids_of
from typing_commands import Typed

from shared.contracts.base import new_id
from shared.contracts.codes import SetAsideReason
from shared.mongo import LostRaceError, transact
from shared.pipeline.decisions import Repeated
from shared.pipeline.engine import utc_now
from shared.pipeline.set_aside import aside_document

NAME = "Olena Kovalenko"


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it to deploy a toy that no longer stumbles."""
    return lambda: monkeypatch.setattr("toy.service.RAISES", "never")


async def open_letters(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = (await http.get("/v1/dead-letters")).raise_for_status().json()["dead_letters"]
    return letters


async def set_aside(trial: Trial, http: httpx.AsyncClient, *events: Written) -> list[str]:
    """Write events, wait until all of them are set aside, and return the ids of the dead letters, oldest first."""
    await trial.write(*events)

    async def all_there() -> Sequence[dict[str, Any]] | None:
        found = await open_letters(http)
        return found if len(found) == len(events) else None

    return [letter["id"] for letter in await eventually(all_there, what="the records set aside")]


async def effects_of(trial: Trial, case_id: str) -> list[str]:
    tally = await trial.tally(case_id)
    return list(tally.effects) if tally else []


async def post(http: httpx.AsyncClient, id_: str, order: str) -> tuple[int, Any]:
    answer = await http.post(f"/v1/dead-letters/{id_}/{order}")
    return answer.status_code, answer.json()


@pytest.mark.usefixtures("toy")
async def test_what_is_parked_behind_a_replayed_record_follows_in_order(
    trial: Trial, http: httpx.AsyncClient, mended: Any
) -> None:
    case_id = new_id()
    first, second, third = Written(case_id, behaviour=RAISES), Written(case_id), Written(case_id)
    letters = await set_aside(trial, http, first, second, third)
    assert [letter["reason"] for letter in await open_letters(http)] == ["handler_failed", "parked", "parked"]
    assert await post(http, letters[0], "replay") == (200, {"took_effect": 0})

    mended()
    assert await post(http, letters[0], "replay") == (200, {"took_effect": 3})

    expected = [first.id, second.id, third.id]
    assert await effects_of(trial, case_id) == expected
    told = [row["causation_id"] for row in await trial.rows(topic=trial.names.outgoing)]
    assert told == expected
    assert await open_letters(http) == []
    fourth = Written(case_id)
    await trial.write(fourth)
    await eventually(lambda: trial.rows(causation_id=fourth.id), what="the next event")


@pytest.mark.usefixtures("toy")
async def test_what_is_parked_behind_a_discarded_record_follows_in_order(trial: Trial, http: httpx.AsyncClient) -> None:
    case_id = new_id()
    first, second, third = Written(case_id, behaviour=RAISES), Written(case_id), Written(case_id)
    letters = await set_aside(trial, http, first, second, third)

    assert await post(http, letters[0], "discard") == (200, {"took_effect": 2})

    assert await effects_of(trial, case_id) == [second.id, third.id]
    discarded = (await http.get("/v1/dead-letters", params={"state": "discarded"})).json()["dead_letters"]
    assert [letter["id"] for letter in discarded] == [letters[0]]


@pytest.mark.usefixtures("toy")
async def test_what_waits_behind_another_record_as_well_stays_where_it_is(
    trial: Trial, http: httpx.AsyncClient
) -> None:
    case_id = new_id()
    bad = [Written(case_id), Written(case_id)]
    for written in bad:
        written.value = b"{"
    good = Written(case_id)
    letters = await set_aside(trial, http, *bad, good)

    assert await post(http, letters[0], "discard") == (200, {"took_effect": 0})
    assert await post(http, letters[1], "discard") == (200, {"took_effect": 1})

    assert await effects_of(trial, case_id) == [good.id]


@pytest.mark.usefixtures("toy")
async def test_order_is_kept_by_hand_as_well(trial: Trial, http: httpx.AsyncClient) -> None:
    case_id = new_id()
    letters = await set_aside(trial, http, Written(case_id, behaviour=RAISES), Written(case_id))

    for order in ("replay", "discard"):
        status, problem = await post(http, letters[1], order)

        assert (status, problem["type"].rpartition(":")[2]) == (409, "held-up-dead-letter")
        assert letters[0] in problem["detail"]


@pytest.mark.usefixtures("toy")
async def test_what_is_unknown_or_settled_is_refused(trial: Trial, http: httpx.AsyncClient) -> None:
    [letter] = await set_aside(trial, http, Written(behaviour=RAISES))
    await post(http, letter, "discard")

    for order in ("replay", "discard"):
        assert (await post(http, new_id(), order))[0] == 404
        assert (await post(http, letter, order))[0] == 409
    assert (await http.get(f"/v1/dead-letters/{new_id()}")).status_code == 404


@pytest.mark.usefixtures("toy")
async def test_a_record_that_still_cannot_be_read_waits_on(trial: Trial, http: httpx.AsyncClient) -> None:
    broken = Written()
    broken.value = b"{"
    [letter] = await set_aside(trial, http, broken)

    for _ in range(2):
        assert await post(http, letter, "replay") == (200, {"took_effect": 0})

    [still] = await open_letters(http)
    assert (still["id"], still["reason"]) == (letter, "not_json")


@pytest.mark.usefixtures("toy")
async def test_a_record_is_replayed_once_even_by_two_operators(
    trial: Trial, http: httpx.AsyncClient, mended: Any
) -> None:
    case_id = new_id()
    event = Written(case_id, behaviour=RAISES)
    [letter] = await set_aside(trial, http, event)
    mended()

    document = await trial.database["set_aside"].find_one({"_id": letter})
    command = trial.reader().replayed(document, trial.record(event))
    assert command is not None
    await trial.engine().run([command])
    [second], _ = await trial.engine().run([command])

    assert isinstance(second, Repeated)
    assert await effects_of(trial, case_id) == [event.id]


@pytest.mark.usefixtures("toy")
async def test_the_bytes_are_shown_only_when_asked_for(trial: Trial, http: httpx.AsyncClient) -> None:
    named = Written()
    named.key = NAME.encode()
    named.value = f'{{"name": "{NAME}"}}'.encode()
    [letter] = await set_aside(trial, http, named)

    shown = (await http.get(f"/v1/dead-letters/{letter}")).json()
    whole = (await http.get(f"/v1/dead-letters/{letter}", params={"bytes": "true"})).json()

    assert (shown["topic"], shown["reason"], shown["subjects"]) == (trial.names.incoming, "breaks_schema", [NAME])
    assert {"name": "ce_type", "bytes": len("de.integrationsbuero.referral.accepted.v1")} in shown["headers"]
    assert (shown["key_bytes"], shown["value_bytes"]) == (len(named.key), len(named.value))
    assert "content" not in shown
    assert base64.b64decode(whole["content"]["value"]) == named.value
    assert base64.b64decode(whole["content"]["key"]) == named.key


@pytest.mark.usefixtures("toy")
async def test_nothing_is_logged_of_a_record_but_its_id(
    trial: Trial, http: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    named = Written()
    named.key = NAME.encode()
    named.value = f'{{"name": "{NAME}"}}'.encode()
    [letter] = await set_aside(trial, http, named)

    await http.get(f"/v1/dead-letters/{letter}", params={"bytes": "true"})
    await http.get("/v1/dead-letters", params={"subject": NAME})
    assert (await http.get("/v1/dead-letters", params={NAME: NAME})).status_code == 422
    await post(http, letter, "replay")
    await post(http, letter, "discard")

    said = "".join(capfd.readouterr())
    assert letter in said
    assert NAME not in said


async def test_a_record_is_never_parked_behind_one_that_was_settled_meanwhile(trial: Trial) -> None:
    parked = aside_document(trial.record(Written()), SetAsideReason.PARKED, {"case"}, "mark", utc_now())
    aside = trial.engine()._aside

    with pytest.raises(LostRaceError):
        await transact(trial.database, lambda session: aside.store([parked], session))


@pytest.mark.usefixtures("toy")
async def test_the_door_opens_with_the_token_only(http: httpx.AsyncClient) -> None:
    for path in ("/v1/dead-letters", f"/v1/journal/{new_id()}", "/v1/lag"):
        assert (await http.get(path, headers={"Authorization": "Bearer other"})).status_code == 401
        assert (await http.get(path)).status_code == 200


async def journal_of(http: httpx.AsyncClient, case_id: str, *, sent: int) -> Any:
    """The journal of a case once it shows so many events as sent."""
    journal = (await http.get(f"/v1/journal/{case_id}")).raise_for_status().json()
    return journal if sum("sent_at" in row for row in journal["events"]) == sent else None


@pytest.mark.usefixtures("toy")
async def test_the_journal_tells_the_events_of_a_case_in_order(trial: Trial, http: httpx.AsyncClient) -> None:
    case_id = new_id()
    events = [Written(case_id) for _ in range(3)]
    await trial.write(*events)

    journal = await eventually(lambda: journal_of(http, case_id, sent=3), what="the rows")

    assert journal["complete"]
    assert [row["causation_id"] for row in journal["events"]] == [event.id for event in events]
    assert [row["sequence"] for row in journal["events"]] == [1, 2, 3]
    assert journal["events"][0]["data"]["case_id"] == case_id
    assert all(row["sent_at"] >= row["time"] for row in journal["events"])
    assert [row["id"] for row in journal["events"]] == ids_of(await trial.records_of(trial.names.outgoing))


async def test_the_command_line_lists_shows_and_replays(
    trial: Trial, http: httpx.AsyncClient, typed_beside: Typed, mended: Any
) -> None:
    case_id = new_id()
    first, second = Written(case_id, behaviour=RAISES), Written(case_id)
    letters = await set_aside(trial, http, first, second)

    listed = await typed_beside("dead-letters", "list", "--service", "routing")
    shown = await typed_beside("dead-letters", "show", letters[0], "--service", "routing")
    elsewhere = await typed_beside("dead-letters", "show", letters[0])
    too_early = await typed_beside("dead-letters", "replay", letters[0], "--service", "routing")
    held_up = await typed_beside("dead-letters", "replay", letters[1], "--service", "routing")
    traced = await typed_beside("trace", case_id)
    mended()
    replayed = await typed_beside("dead-letters", "replay", letters[0], "--service", "routing")
    nothing = await typed_beside("dead-letters", "list", "--service", "routing")

    assert [line for line in listed.stdout.splitlines() if any(letter in line for letter in letters)]
    assert listed.exit_code == 0
    assert "handler_failed" in shown.stdout
    assert (elsewhere.exit_code, "intake does not answer" in elsewhere.stderr) == (2, True)
    assert (too_early.exit_code, "still cannot process" in too_early.stderr) == (1, True)
    assert (held_up.exit_code, letters[0] in held_up.stderr) == (1, True)
    assert all(f"dead letter {letter}" in traced.stdout for letter in letters)
    assert "incomplete: intake does not answer" in traced.stdout
    assert (replayed.exit_code, "1 parked behind it" in replayed.stdout) == (0, True)
    assert "nothing waits" in nothing.stdout
    assert await effects_of(trial, case_id) == [first.id, second.id]


async def test_the_command_line_says_that_there_are_more(
    trial: Trial, http: httpx.AsyncClient, typed_beside: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_aside(trial, http, Written(behaviour=RAISES), Written(behaviour=RAISES))
    complete = await typed_beside("dead-letters", "list", "--service", "routing")
    monkeypatch.setattr("shared.web.operators.DEAD_LETTERS", 1)

    cut = await typed_beside("dead-letters", "list", "--service", "routing")

    assert "and more" not in complete.stdout
    assert cut.stdout.splitlines()[-1] == "… and more of routing, which shows its 1 oldest"


async def test_all_are_replayed_in_order_of_arrival_beyond_what_one_answer_shows(
    trial: Trial, http: httpx.AsyncClient, typed_beside: Typed, mended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [new_id(), new_id()]
    broken = Written()
    broken.value = b"{"
    events = [Written(cases[0], behaviour=RAISES), Written(cases[0]), broken, Written(cases[1], behaviour=RAISES)]
    await set_aside(trial, http, *events)
    monkeypatch.setattr("shared.web.operators.DEAD_LETTERS", 1)
    mended()

    replayed = await typed_beside("dead-letters", "replay", "--all", "--service", "routing")
    discarded = await typed_beside("dead-letters", "discard", "--all", "--service", "routing")

    assert (replayed.exit_code, replayed.stdout.splitlines()[-1]) == (1, "routing processed 3, 1 still wait")
    assert [await effects_of(trial, case_id) for case_id in cases] == [[events[0].id, events[1].id], [events[3].id]]
    gave_up = "routing gave 1 up and processed 0 parked behind them, 0 still wait"
    assert (discarded.exit_code, discarded.stdout.splitlines()[-1]) == (0, gave_up)
    assert await open_letters(http) == []


async def test_a_trace_tells_what_happened(trial: Trial, http: httpx.AsyncClient, typed_beside: Typed) -> None:
    case_id = new_id()
    await trial.write(Written(case_id))
    await eventually(lambda: journal_of(http, case_id, sent=1), what="the row")

    traced = await typed_beside("trace", case_id)

    [line] = [line for line in traced.stdout.splitlines() if trial.names.outgoing in line]
    assert "of appointments in local time (Europe/Berlin)" in traced.stdout
    assert "routing" in line
    assert f"{trial.names.partner} is told that the case was withdrawn by sender" in line


async def test_what_a_foreign_writer_chose_does_not_steer_the_terminal(
    trial: Trial, http: httpx.AsyncClient, typed_beside: Typed
) -> None:
    hostile = Written().with_header("\b\b", b"")
    hostile.key, hostile.value = b"\rred", b"{"
    [letter] = await set_aside(trial, http, hostile)

    shown = await typed_beside("dead-letters", "show", letter, "--service", "routing")

    assert shown.exit_code == 0
    assert "red" in shown.stdout
    assert not {"\r", "\b"} & set(shown.stdout)
