"""Partners are let in and out: what Kafka lets them do after each change, also where a change was broken off."""

import asyncio
import os
import stat
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError
from confluent_kafka import Producer
from dotenv import dotenv_values
from taking_part import takes_no_part, takes_part
from toy.trial import eventually

from deploy.backends import Backends
from deploy.embedded.issuer import EmbeddedIssuer, RefusedError
from deploy.onboarding import Onboarding, OnboardingError, Step
from deploy.principals import grant, librdkafka
from deploy.quotas import Quota, limits
from deploy.secrets import Secrets
from shared.kafka_access import KafkaAccess
from shared.rights import Kind, Operation, Right
from shared.topics import partner_topics, topics_of_partner

QUOTA = Quota(64 * 1024, 1024 * 1024, 25)

Change = Callable[[str], Iterator[Step]]


def basic(client: str, secret: str) -> str:
    return "Basic " + b64encode(f"{client}:{secret}".encode()).decode()


class Office:
    """Lets one partner in and out, and asks Kafka what it may do with the credentials it was given."""

    def __init__(self, backends: Backends, folder: Path) -> None:
        self.id = f"p-{uuid4().hex[:8]}"
        self.folder = folder
        self.secrets = Secrets(folder / "secrets")
        queue, _ = partner_topics(self.id)
        self.onboarding = Onboarding(
            backends.kafka,
            self.secrets,
            folder,
            told={"OIDC_ISSUER": "http://127.0.0.1:8180"},
            quota=QUOTA,
            others={f"service-{self.id}": [Right(Kind.TOPIC, queue.name, Operation.WRITE)]},
        )

    async def change(self, change: Change) -> list[str]:
        """Every step of it, and what each was."""
        return await asyncio.to_thread(lambda: [self._taken(step) for step in change(self.id)])

    async def broken_off(self, change: Change, after: int) -> bool:
        """The first steps only; whether there were more."""

        def some() -> bool:
            for number, step in enumerate(change(self.id)):
                if number == after:
                    return True
                step.do()
            return False

        return await asyncio.to_thread(some)

    def gives_token(self, client: str, secret: str | None) -> bool:
        """Whether the issuer still takes somebody for this client."""
        issuer = EmbeddedIssuer("http://127.0.0.1:8180", self.secrets)
        try:
            issuer.token(basic(client, secret or ""), {"grant_type": "client_credentials"})
        except RefusedError:
            return False
        return True

    def handed_over(self) -> KafkaAccess:
        """What the partner's credentials file says now."""
        told = dotenv_values(self.onboarding.credentials(self.id))
        return KafkaAccess.model_validate({name.lower(): value for name, value in told.items() if name[0] == "K"})

    def _taken(self, step: Step) -> str:
        step.do()
        return step.what


def limits_of(backends: Backends, users: Collection[str]) -> dict[str, Quota]:
    return {user: quota for user, quota in limits(backends.kafka).items() if user in users}


@pytest.fixture
async def office(backends: Backends, tmp_path: Path) -> AsyncIterator[Office]:
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    made = Office(backends, tmp_path)
    yield made
    await made.change(made.onboarding.removing)
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_of_partner(made.id)])
    await admin.close()


async def test_a_partner_that_was_let_in_takes_part_with_what_it_was_handed(office: Office) -> None:
    steps = await office.change(office.onboarding.adding)

    assert await takes_part(office.handed_over(), office.id)
    assert len(steps) > 3
    assert await office.change(office.onboarding.adding) == []
    file = office.onboarding.credentials(office.id)
    told = dotenv_values(file)
    for each in (file, office.folder / "gateway" / f"{office.id}.env"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert (told["PARTNER_ID"], told["OIDC_CLIENT_ID"]) == (office.id, f"partner-{office.id}-1")
    assert Path(told["KAFKA_CA"] or "").parent == file.parent.absolute()


async def test_the_gateway_takes_part_in_a_partner_s_place_by_a_user_of_its_own(office: Office) -> None:
    await office.change(office.onboarding.adding)

    told = dotenv_values(office.folder / "gateway" / f"{office.id}.env")

    gateways = KafkaAccess.model_validate({name.lower(): value for name, value in told.items()})
    assert gateways.kafka_sasl_username == f"partner-{office.id}-gateway"
    assert await takes_part(gateways, office.id)


async def test_after_a_rotation_both_passwords_count_and_after_its_end_the_new_one_only(office: Office) -> None:
    await office.change(office.onboarding.adding)
    old = office.handed_over()
    await office.change(office.onboarding.rotating)
    new = office.handed_over()
    assert (old.kafka_sasl_username, new.kafka_sasl_username) == (f"partner-{office.id}-1", f"partner-{office.id}-2")
    assert await takes_part(old, office.id)
    assert await takes_part(new, office.id)
    with pytest.raises(OnboardingError, match="--finish"):
        await office.change(office.onboarding.rotating)

    old_client, new_client = (f"partner-{office.id}-{which}" for which in (1, 2))
    old_secret, new_secret = (office.secrets.known(f"client-{client}") for client in (old_client, new_client))
    assert office.gives_token(old_client, old_secret)
    await office.change(office.onboarding.finishing)

    assert not office.gives_token(old_client, old_secret)
    assert office.gives_token(new_client, new_secret)
    assert await takes_part(new, office.id)
    await eventually(partial(takes_no_part, old, office.id))
    assert await office.change(office.onboarding.finishing) == []


async def test_who_stole_the_old_password_and_is_still_connected_is_shut_out_too(office: Office) -> None:
    await office.change(office.onboarding.adding)
    _, replies = partner_topics(office.id)
    thief = office.handed_over()
    async with AIOKafkaProducer(**thief.options) as producer:
        await producer.send_and_wait(replies.name, b"{}")
        await office.change(office.onboarding.rotating)
        await office.change(office.onboarding.finishing)

        async def refused() -> bool:
            try:
                await producer.send_and_wait(replies.name, b"{}")
            except TopicAuthorizationFailedError:
                return True
            return False

        await eventually(refused)


async def test_a_password_comes_back_only_as_a_new_one(office: Office) -> None:
    await office.change(office.onboarding.adding)
    first = office.handed_over()
    for _ in range(2):
        await office.change(office.onboarding.rotating)
        await office.change(office.onboarding.finishing)

    again = office.handed_over()

    assert again.kafka_sasl_username == first.kafka_sasl_username
    assert again.kafka_sasl_password != first.kafka_sasl_password
    assert await takes_part(again, office.id)
    await eventually(partial(takes_no_part, first, office.id))


async def test_a_suspended_partner_waits_outside_until_it_is_let_in_again_with_the_same_password(
    office: Office,
) -> None:
    await office.change(office.onboarding.adding)
    handed = office.handed_over()

    await office.change(office.onboarding.suspending)

    await eventually(partial(takes_no_part, handed, office.id))
    assert not (office.folder / "gateway" / f"{office.id}.env").exists()
    assert await office.change(office.onboarding.renewing) == [
        f"write {office.onboarding.credentials(office.id)} for {handed.kafka_sasl_username}"
    ]
    assert not await takes_part(handed, office.id)
    with pytest.raises(OnboardingError, match="suspended"):
        await office.change(office.onboarding.adding)
    await office.change(office.onboarding.resuming)
    await eventually(partial(takes_part, handed, office.id))


async def test_of_a_removed_partner_nothing_is_left_but_its_topics(office: Office, backends: Backends) -> None:
    await office.change(office.onboarding.adding)
    handed = office.handed_over()

    await office.change(office.onboarding.removing)

    await eventually(partial(takes_no_part, handed, office.id))
    assert [path.name for path in office.folder.rglob("*") if path.is_file()] == ["ca.pem"]
    assert await takes_part(backends.kafka, office.id)
    assert await office.change(office.onboarding.removing) == []


async def test_after_a_rotation_that_was_broken_off_a_removal_leaves_nothing_either(
    office: Office, backends: Backends
) -> None:
    after = 1
    await office.change(office.onboarding.adding)
    while await office.broken_off(office.onboarding.rotating, after):
        await office.change(office.onboarding.removing)

        users = [f"partner-{office.id}-{which}" for which in ("1", "2", "gateway")]
        assert await asyncio.to_thread(limits_of, backends, users) == {}
        assert not (await asyncio.to_thread(office.onboarding.standing, office.id)).is_known
        assert [path.name for path in office.folder.rglob("*") if path.is_file()] == ["ca.pem"]
        await office.change(office.onboarding.adding)
        after += 1
    assert after > 3


async def test_a_right_that_was_lost_comes_back_and_one_too_many_goes(office: Office, backends: Backends) -> None:
    await office.change(office.onboarding.adding)
    user, service = f"partner-{office.id}-1", f"service-{office.id}"
    queue, replies = partner_topics(office.id)
    strange = {
        user: [Right(Kind.TOPIC, queue.name, Operation.READ), Right(Kind.TOPIC, queue.name, Operation.WRITE)],
        service: [Right(Kind.TOPIC, replies.name, Operation.READ)],
    }
    await asyncio.to_thread(grant, backends.kafka, strange)

    assert await office.change(office.onboarding.adding) == [
        f"give {service} the rights of the table",
        f"give {user} its rights",
    ]
    assert await office.change(office.onboarding.adding) == []
    assert await takes_part(office.handed_over(), office.id)


async def test_every_user_of_a_partner_has_its_limits_which_follow_the_settings(
    office: Office, backends: Backends
) -> None:
    await office.change(office.onboarding.adding)
    await office.change(office.onboarding.rotating)
    users = [f"partner-{office.id}-{which}" for which in ("1", "2", "gateway")]

    assert await asyncio.to_thread(limits_of, backends, users) == dict.fromkeys(users, QUOTA)

    office.onboarding._quota = Quota(1000, 2000, 3)
    await office.change(office.onboarding.renewing)
    assert await asyncio.to_thread(limits_of, backends, users) == dict.fromkeys(users, Quota(1000, 2000, 3))

    await office.change(office.onboarding.removing)
    assert await asyncio.to_thread(limits_of, backends, users) == {}


async def test_who_writes_more_than_its_quota_is_slowed_down_and_nothing_of_it_is_lost(office: Office) -> None:
    await office.change(office.onboarding.adding)
    _, replies = partner_topics(office.id)
    slowed: list[Any] = []
    told: list[Any] = []
    producer = Producer({**librdkafka(office.handed_over()), "throttle_cb": slowed.append})

    async def slowed_down() -> bool:
        record = os.urandom(QUOTA.producer_byte_rate)
        producer.produce(replies.name, record, on_delivery=lambda error, _: told.append(error))
        await asyncio.to_thread(producer.flush)
        return bool(slowed)

    await eventually(slowed_down)
    assert slowed[0].throttle_time > 0
    assert not any(told)


async def test_a_reply_of_two_megabytes_is_refused_by_kafka(office: Office) -> None:
    office.onboarding._quota = Quota(16 * 1024 * 1024, 1024 * 1024, 25)  # which would only make it slow
    await office.change(office.onboarding.adding)
    _, replies = partner_topics(office.id)

    async with AIOKafkaProducer(**office.handed_over().options, max_request_size=4_000_000) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(replies.name, os.urandom(2_000_000))
        await producer.send_and_wait(replies.name, b"{}")


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ([], "adding"),
        (["adding"], "rotating"),
        (["adding", "rotating"], "finishing"),
        (["adding"], "suspending"),
        (["adding", "suspending"], "resuming"),
        (["adding"], "removing"),
    ],
    ids=lambda said: said if isinstance(said, str) else None,
)
async def test_a_change_that_was_broken_off_anywhere_ends_when_it_is_typed_again(
    office: Office, before: list[str], name: str
) -> None:
    """A first attempt ends after each of the steps in turn, and a second one ends it all."""
    change: Change = getattr(office.onboarding, name)
    after = 0
    has_more = True
    while has_more:
        for earlier in before:
            await office.change(getattr(office.onboarding, earlier))
        has_more = await office.broken_off(change, after)
        if has_more:
            await office.change(change)
        now = await asyncio.to_thread(office.onboarding.standing, office.id)
        gateway = f"partner-{office.id}-gateway"
        if name == "removing":
            assert not now.is_known, after
        elif name == "suspending":
            assert now.is_suspended, after
        else:
            assert now.with_rights == {*now.own, gateway}, after
            assert now.newest in now.own, after
            assert len(now.own) == (2 if name == "rotating" else 1), after
            await eventually(partial(takes_part, office.handed_over(), office.id))
        await office.change(office.onboarding.removing)
        after += 1
    assert after > 1
