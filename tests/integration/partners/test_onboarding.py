"""Partners are let in and out: what Kafka lets them do after each change."""

import asyncio
import os
import stat
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError
from confluent_kafka import Producer
from dotenv import dotenv_values
from joserfc.jwk import ECKey
from letting_in import QUOTA, Office, basic, limits_of
from signing import KnownKeys
from taking_part import takes_no_part, takes_part
from toy.trial import eventually

from deploy.backends import Backends
from deploy.embedded.issuer import AUDIENCE, EmbeddedIssuer
from deploy.onboarding import OnboardingError
from deploy.principals import grant, librdkafka, who_lacks
from deploy.quotas import Quota
from shared.rights import Kind, Operation, Right
from shared.topics import partner_topics
from shared.web.problems import ProblemError
from shared.web.sign_in import LEEWAY_SECONDS, SignIn, Trust


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

    assert office.of_gateway().kafka_sasl_username == f"partner-{office.id}-gateway"
    assert await takes_part(office.of_gateway(), office.id)


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


async def test_a_token_that_was_got_with_the_old_secret_counts_until_it_expires(office: Office) -> None:
    await office.change(office.onboarding.adding)
    told = dotenv_values(office.onboarding.credentials(office.id))
    issuer = EmbeddedIssuer(told["OIDC_ISSUER"] or "", office.secrets)
    authorization = basic(told["OIDC_CLIENT_ID"] or "", told["OIDC_CLIENT_SECRET"] or "")
    token = issuer.token(authorization, {"grant_type": "client_credentials"})["access_token"]
    await office.change(office.onboarding.rotating)
    await office.change(office.onboarding.finishing)
    [key] = issuer.keys()["keys"]
    clock = [time.time()]
    door = SignIn(Trust(told["OIDC_ISSUER"] or "", AUDIENCE), KnownKeys(ECKey.import_key(key)), clock=lambda: clock[0])

    assert (await door.caller(f"Bearer {token}")).partner_id == office.id
    clock[0] += 15 * 60 + LEEWAY_SECONDS + 1
    with pytest.raises(ProblemError, match="has expired"):
        await door.caller(f"Bearer {token}")


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


async def test_a_right_that_was_lost_comes_back_and_a_partner_s_that_is_too_many_goes(
    office: Office, backends: Backends
) -> None:
    await office.change(office.onboarding.adding)
    user, service = f"partner-{office.id}-1", f"service-{office.id}"
    queue, replies = partner_topics(office.id)
    of_others = Right(Kind.TOPIC, replies.name, Operation.READ)
    strange = {
        user: [Right(Kind.TOPIC, queue.name, Operation.READ), Right(Kind.TOPIC, queue.name, Operation.WRITE)],
        service: [of_others],
    }
    await asyncio.to_thread(grant, backends.kafka, strange)

    assert await office.change(office.onboarding.adding) == [
        f"give {service} the rights of the table",
        f"give {user} its rights",
    ]
    assert await office.change(office.onboarding.adding) == []
    assert await takes_part(office.handed_over(), office.id)
    assert not await asyncio.to_thread(who_lacks, backends.kafka, {service: [of_others]})


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
