"""What a webhook is told: the events from its own time, in the order of their referral, and nobody else's."""

from collections.abc import AsyncIterator

import pytest
from receiver import Receiver, receiving
from sending import Office, of_each

from services.gateway.domain.webhooks import Webhook
from services.gateway.webhooks.deliveries import Deliveries
from services.gateway.webhooks.migrations import MIGRATIONS
from services.gateway.webhooks.store import WEBHOOKS, Webhooks
from shared.mongo import Database


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_what_was_told_before_is_not_sent_whoever_finds_it_later(office: Office, receiver: Receiver) -> None:
    events = [office.an_event("r", number, 0, number) for number in (1, 2, 3)]
    await office.deliveries.take("awo", events[:2])
    await office.webhook(receiver, begin={0: 3})
    office.gateway()
    await office.deliveries.take("awo", events[2:])
    await office.delivered(1)

    await office.deliveries.take("awo", events)
    await office.looked()

    assert of_each(receiver, ["r"]) == {"r": [3]}


async def test_a_partition_that_was_added_later_is_sent_from_its_beginning(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver, begin={0: 3})
    office.gateway()

    await office.deliveries.take("awo", [office.an_event("r", 1, 1, 0)])
    office.nudge()

    await office.delivered(1)


async def test_a_referral_keeps_its_order_when_the_queue_gets_more_partitions(
    office: Office, receiver: Receiver
) -> None:
    await office.webhook(receiver)
    await office.pause()
    before = [office.an_event("r", number, 0, 1000 + number) for number in (1, 2)]
    after = [office.an_event("r", number, 7, number) for number in (3, 4)]
    await office.deliveries.take("awo", [*after, *before])
    office.gateway()

    await office.resume()
    await office.delivered(4)

    assert of_each(receiver, ["r"]) == {"r": [1, 2, 3, 4]}


class Late(Webhooks):
    """It knows a webhook that was removed meanwhile, once."""

    def __init__(self, database: Database, known: Webhook) -> None:
        super().__init__(database)
        self._still = [known]

    async def get(self, partner_id: str) -> Webhook | None:
        return self._still.pop() if self._still else await super().get(partner_id)


@pytest.mark.parametrize("is_another_there", [False, True])
async def test_what_a_late_gateway_notes_for_a_webhook_that_was_removed_is_forgotten(
    office: Office, receiver: Receiver, database: Database, is_another_there: bool
) -> None:
    await office.webhook(receiver)
    late = Deliveries(database, clock=office.clock)
    late._webhooks = Late(database, await office.state())
    await office.webhooks.remove("awo")
    await office.deliveries.forget_earlier("awo")
    if is_another_there:
        await office.webhook(receiver)
        await office.tell(("mine", 1))

    await late.take("awo", [office.an_event("not mine", 1, 0, 1)])

    assert [row["subject"] async for row in office.rows.find()] == ["mine"] * is_another_there


async def test_what_another_webhook_left_is_never_sent(office: Office, receiver: Receiver) -> None:
    async with receiving() as earlier:
        await office.webhook(earlier)
        await office.tell(("r", 1))
        await office.webhooks.remove("awo")
        await office.webhook(receiver)
        office.gateway()
        await office.tell(("r", 1), ("r", 2))

        await office.delivered(2)

        assert of_each(receiver, ["r"]) == {"r": [1, 2]}
        assert earlier.got == []


async def test_a_second_first_request_takes_nothing_of_the_first(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver)
    await office.tell(("r", 1))
    first = await office.state()

    await office.webhook(receiver, begin={0: 100})

    assert await office.state() == first
    assert await office.deliveries.waiting(first) == 1


async def test_a_look_at_what_fails_reads_nothing_else(office: Office, receiver: Receiver, database: Database) -> None:
    await office.webhook(receiver)
    webhook = await office.state()
    await office.tell(*((f"r-{number}", 1) for number in range(50)))
    await office.rows.update_many({"subject": "r-7"}, {"$set": {"failing_since": office.clock(), "attempts": 1}})
    await database.command("profile", 2)

    [row] = await office.deliveries.page(webhook, only_failing=True, before=None, limit=10)
    await database.command("profile", 0)

    read = await database["system.profile"].find_one({"command.find": "deliveries"})
    assert row["subject"] == "r-7"
    assert (read["docsExamined"], read.get("hasSortStage", False)) == (1, False)


async def test_a_webhook_from_before_it_had_an_id_goes_on_with_what_waits(
    office: Office, receiver: Receiver, database: Database
) -> None:
    await office.webhook(receiver)
    await office.tell(("r", 1))
    [row] = [row async for row in office.rows.find()]
    await office.rows.delete_one({"_id": row["_id"]})
    for new in ("webhook_id", "sequence"):
        del row[new]
    await office.rows.insert_one({**row, "_id": f"awo/{row['event_id']}"})
    await database[WEBHOOKS].update_one({"_id": "awo"}, {"$unset": {"id": "", "begin": "", "admission": ""}})

    await MIGRATIONS[-1].apply(database)
    await office.webhooks.forget_of_other_admission("awo", "the time it was let in")
    office.gateway()
    await office.tell(("r", 1), ("r", 2))

    await office.delivered(2)
    assert of_each(receiver, ["r"]) == {"r": [1, 2]}
