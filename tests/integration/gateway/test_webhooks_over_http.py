"""A partner's webhook over HTTP: from its queue to its receiver, and everything it may do about that itself."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hooked import begun, came, refuse, waiting
from receiver import Receiver, receiving
from running_gateway import Gateway, Partner, take
from signing import signed
from standardwebhooks import Webhook as Verifier
from toy.trial import eventually

from services.gateway.webhooks.addresses import LONGEST
from shared.web.roles import Role


async def test_an_event_of_the_queue_is_sent_as_the_feed_tells_it(partner: Partner, receiver: Receiver) -> None:
    secret = await begun(partner, receiver)

    await partner.tell(partner.an_offer())
    await came(receiver, 1)

    [got] = receiver.got
    [told] = (await partner.get("/events")).json()["events"]
    assert Verifier(secret).verify(got.body, dict(got.headers)) == told
    assert got.id == told["id"]
    await waiting(partner, 0)


async def test_another_url_changes_neither_secret_nor_what_waits(
    partner: Partner, receiver: Receiver, receiver_ports: Sequence[int]
) -> None:
    secret = await begun(partner, receiver)
    receiver.answer = refuse
    await partner.tell(partner.an_offer())
    await came(receiver, 1)

    async with receiving(port=receiver_ports[1]) as other:
        answer = await partner.call("PUT", "/webhook", {"url": other.url})
        await came(other, 1)

        assert answer.status_code == 200
        assert "secret" not in answer.json()
        assert answer.json()["url"] == other.url
        assert Verifier(secret).verify(other.got[0].body, dict(other.got[0].headers))


async def test_the_store_does_not_hold_the_secret(partner: Partner, receiver: Receiver) -> None:
    secret = await begun(partner, receiver)

    kept = await partner.gateway.app.state.service.database["webhooks"].find_one({"_id": partner.id})
    shown = await partner.get("/webhook")

    assert secret.removeprefix("whsec_") not in str(kept)
    assert "secret" not in shown.json()


async def test_a_url_that_may_not_be_is_refused_and_named(partner: Partner) -> None:
    for url in (
        "no url",
        "http://example.org/in",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/in",
        "https://[::1]/in",
        "https://10.0.0.1/in",
        "https://[::ffff:10.0.0.1]/in",
        "https://2130706433/in",
        "https://someone:secret@localhost/in",
        "https://localhost/in#part",
        "https://no-such-host.invalid/in",
        "ftp://localhost/in",
        "https://localhost/" + "x" * LONGEST,
    ):
        answer = await partner.call("PUT", "/webhook", {"url": url})

        assert answer.status_code == 422, url
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/url"], url
    assert (await partner.get("/webhook")).status_code == 404


async def test_a_pause_holds_back_what_comes_and_resume_sends_it(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)

    paused = await partner.call("POST", "/webhook/pause")
    await partner.tell(partner.an_offer("one"), partner.an_offer("two"))
    await waiting(partner, 2)
    assert (paused.json()["state"], receiver.got) == ("paused", [])

    resumed = await partner.call("POST", "/webhook/resume")
    await came(receiver, 2)
    assert (resumed.status_code, resumed.json()["state"]) == (200, "active")


async def test_while_the_secret_is_rotated_both_sign(partner: Partner, receiver: Receiver) -> None:
    old = await begun(partner, receiver)

    answer = await partner.call("POST", "/webhook/rotate-secret")
    await partner.tell(partner.an_offer())
    await came(receiver, 1)

    new = answer.json()["secret"]
    [got] = receiver.got
    assert new != old
    for secret in (old, new):
        Verifier(secret).verify(got.body, dict(got.headers))
    left = datetime.fromisoformat(answer.json()["old_secret_until"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)


async def test_a_replay_is_marked(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)
    await partner.tell(partner.an_offer("one"), partner.an_offer("two"))
    await came(receiver, 2)
    await waiting(partner, 0)

    begin = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    answer = await partner.call("POST", "/webhook/replay", {"from": begin})
    await came(receiver, 4)

    assert (answer.status_code, answer.json()) == (202, {"events": 2})
    assert [got.headers.get("webhook-replay") for got in receiver.got] == [None, None, "true", "true"]
    assert {got.id for got in receiver.got[:2]} == {got.id for got in receiver.got[2:]}


async def test_a_replay_needs_a_moment(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)

    bodies: list[Any] = [{}, {"from": "yesterday"}, {"from": "2026-11-24T10:00:00"}, {"begin": 3}, []]
    answers = [await partner.call("POST", "/webhook/replay", body) for body in bodies]

    assert [answer.status_code for answer in answers] == [422] * 5


async def test_what_fails_is_shown_with_its_reason(partner: Partner, receiver: Receiver) -> None:
    receiver.answer = refuse
    await begun(partner, receiver)
    await partner.tell(*(partner.an_offer(name) for name in ("one", "two", "three")))
    await came(receiver, 3)

    async def failed() -> bool:
        return len((await partner.get("/webhook/deliveries")).json()["deliveries"]) == 3

    await eventually(failed)
    first = (await partner.get("/webhook/deliveries", limit=2)).json()
    rest = (await partner.get("/webhook/deliveries", limit=2, cursor=first["next"])).json()

    rows = first["deliveries"] + rest["deliveries"]
    assert {row["event_id"] for row in rows} == {got.id for got in receiver.got}
    assert [(row["attempts"], row["last"]["status"], row["last"]["failure"]) for row in rows] == [
        (1, 503, "refused")
    ] * 3
    assert (rest["next"], [row.get("body") for row in rows]) == (None, [None] * 3)


async def test_what_was_removed_is_gone(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)
    await partner.tell(partner.an_offer())
    await came(receiver, 1)

    assert (await partner.call("DELETE", "/webhook")).status_code == 204

    assert (await partner.get("/webhook/deliveries", state="all")).json()["deliveries"] == []
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/pause", None),
        ("POST", "/resume", None),
        ("POST", "/rotate-secret", None),
        ("POST", "/replay", {"from": "2026-11-24T10:00:00Z"}),
    ):
        answer = await partner.call(method, f"/webhook{path}", body)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:integrationsbuero:problem:no-webhook")


async def test_whoever_is_suspended_is_sent_nothing_until_it_is_let_in_again(
    partner: Partner, receiver: Receiver
) -> None:
    await begun(partner, receiver)
    await take(partner.onboarding.suspending(partner.id))

    async def is_shut_out() -> bool:
        return (await partner.get("/webhook")).status_code == 403

    await eventually(is_shut_out)
    await partner.tell(partner.an_offer())
    assert receiver.got == []

    await take(partner.onboarding.resuming(partner.id))
    await came(receiver, 1)


async def test_an_operator_sees_deliveries_and_changes_nothing(gateway: Gateway, partner: Partner) -> None:
    signature = signed(Role.OPERATOR)
    path = f"/v1/partners/{partner.id}/webhook"

    assert (await gateway.http.get(f"{path}/deliveries", headers=signature)).status_code == 200
    assert (await gateway.http.post(f"{path}/pause", headers=signature)).status_code == 403
    assert (await gateway.http.delete(path, headers=signature)).status_code == 403


async def test_a_partner_that_was_suspended_keeps_its_webhook_and_one_that_was_removed_does_not(
    partner: Partner, receiver: Receiver
) -> None:
    async def is_shut_out() -> bool:
        return (await partner.get("/events")).status_code == 403

    await begun(partner, receiver)
    await take(partner.onboarding.suspending(partner.id))
    await eventually(is_shut_out)
    await take(partner.onboarding.resuming(partner.id))
    await partner.is_seen()
    assert (await partner.get("/webhook")).status_code == 200

    await take(partner.onboarding.removing(partner.id))
    await eventually(is_shut_out)
    await partner.let_in()

    async def is_forgotten() -> bool:
        return (await partner.get("/webhook")).status_code == 404

    await eventually(is_forgotten)
