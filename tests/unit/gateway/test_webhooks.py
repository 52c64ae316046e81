"""A webhook's pure part: pauses between attempts, secrets, signatures."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from services.gateway.domain.cursors import Positions
from services.gateway.domain.webhooks import (
    BOTH_COUNT,
    LONGEST_ASKED,
    MOST_ROTATIONS,
    PAUSES,
    Answer,
    Delivery,
    Failure,
    RotatedTooOftenError,
    Seed,
    State,
    Webhook,
    answer_of,
    headers_of,
    is_hopeless,
    new_seed,
    pause_after,
    rotate,
    secret_of,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
KEY = b"of the tests"


def a_delivery(body: str = '{"näher": 1}', *, is_replay: bool = False) -> Delivery:
    return Delivery("awo/e-1", "e-1", "r-1", body, NOW, is_replay=is_replay)


def a_webhook(*seeds: Seed, begin: Positions | None = None) -> Webhook:
    return Webhook(
        id="w-1",
        partner_id="awo",
        url="https://a.example/",
        state=State.ACTIVE,
        since=NOW,
        seeds=seeds,
        begin=begin or {},
    )


def test_pauses_grow_to_an_hour_and_stay_there() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 200)]

    assert pauses[0] == timedelta(seconds=5)
    assert pauses == sorted(pauses)
    assert set(pauses[5:]) == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        ("120", timedelta(minutes=2)),
        ("0", PAUSES[0]),
        ("9" * 30, PAUSES[2]),
        ("86401", LONGEST_ASKED),
        ("Tue, 24 Nov 2026 10:00:00 GMT", timedelta(hours=1)),
        ("Tue, 24 Nov 2026 08:00:00 GMT", PAUSES[0]),
        ("soon", PAUSES[2]),
        ("-5", PAUSES[2]),
        (None, PAUSES[2]),
    ],
)
def test_a_receiver_may_ask_for_a_pause_within_bounds(said: str | None, pause: timedelta) -> None:
    answer = answer_of(503, said, NOW)

    assert pause_after(3, answer.retry_after) == pause


@pytest.mark.parametrize(
    ("attempts", "days", "failure", "is_one_too_many"),
    [
        (0, 0, Failure.REFUSED, False),
        (0, 0, Failure.GONE, True),
        (len(PAUSES), 4, Failure.REFUSED, False),
        (len(PAUSES) - 2, 30, Failure.REFUSED, False),
        (len(PAUSES) - 1, 5, Failure.REFUSED, True),
    ],
)
def test_days_and_attempts_without_success_are_too_many_together(
    attempts: int, days: int, failure: Failure, is_one_too_many: bool
) -> None:
    failing_since = NOW - timedelta(days=days) if attempts else None
    delivery = Delivery("awo/e-1", "e-1", "r-1", "{}", NOW, attempts, failing_since)

    assert is_hopeless(delivery, failure, NOW) is is_one_too_many


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None),
        (204, None),
        (299, None),
        (302, Failure.REDIRECT),
        (304, Failure.REDIRECT),
        (400, Failure.REFUSED),
        (410, Failure.GONE),
        (429, Failure.REFUSED),
        (503, Failure.REFUSED),
    ],
)
def test_only_2xx_is_delivered(status: int, failure: Failure | None) -> None:
    assert answer_of(status, None, NOW) == Answer(status, failure)


def test_both_secrets_sign_while_one_is_changed() -> None:
    new, old = new_seed(), new_seed().model_copy(update={"until": NOW + timedelta(hours=1)})
    webhook = a_webhook(new, old)

    assert webhook.secrets(KEY, NOW) == [secret_of(KEY, "awo", new), secret_of(KEY, "awo", old)]
    assert webhook.secrets(KEY, NOW + timedelta(hours=1)) == [secret_of(KEY, "awo", new)]


def test_every_secret_of_the_day_counts_and_so_many_there_may_be() -> None:
    seeds: Sequence[Seed] = [new_seed()]
    told = [seeds[0].value]
    for hour in range(MOST_ROTATIONS):
        seeds = rotate(seeds, new_seed(), NOW + timedelta(hours=hour))
        told.insert(0, seeds[0].value)

    assert [seed.value for seed in seeds] == told
    with pytest.raises(RotatedTooOftenError) as refused:
        rotate(seeds, new_seed(), NOW + timedelta(hours=5))
    assert refused.value.until == NOW + BOTH_COUNT
    assert [seed.value for seed in rotate(seeds, Seed(value="new"), NOW + BOTH_COUNT)] == ["new", *told[:-1]]


def test_a_secret_is_of_one_partner_one_seed_and_one_key() -> None:
    seed, other = Seed(value="a"), Seed(value="b")
    secrets = {secret_of(KEY, "awo", seed), secret_of(KEY, "awo", other), secret_of(KEY, "vhs", seed)}

    assert len(secrets | {secret_of(b"another", "awo", seed)}) == 4
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)


def test_the_library_s_own_verifier_takes_what_was_signed() -> None:
    now = datetime.now(UTC)
    secrets = [secret_of(KEY, "awo", new_seed()) for _ in range(2)]
    delivery = a_delivery()

    headers = headers_of(delivery, secrets, now)

    for secret in secrets:
        assert Verifier(secret).verify(delivery.body.encode(), dict(headers)) == {"näher": 1}
    with pytest.raises(WebhookVerificationError):
        Verifier(secrets[0]).verify(b'{"n\xc3\xa4her": 2}', dict(headers))
    assert headers["webhook-id"] == "e-1"


def test_only_a_replay_is_marked_as_one() -> None:
    assert "webhook-replay" not in headers_of(a_delivery(), [], NOW)
    assert headers_of(a_delivery(is_replay=True), [], NOW)["webhook-replay"] == "true"
