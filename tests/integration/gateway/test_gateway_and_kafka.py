"""Kafka goes and comes back, the gateway is told to end: whoever asks is answered, and what comes later is told."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import uvicorn
from receiver import Receiver
from running_gateway import Gateway, Partner, settings_of
from signing import sign_in, signed
from toy.trial import eventually

from deploy.backends import Backends
from deploy.embedded.kafka import KafkaBroker
from deploy.embedded.ports import free_ports
from services.gateway import queues
from services.gateway.app import create_app
from shared.contracts.base import new_id
from shared.web.roles import Role
from wegweiser.service import Server


def freeze(broker: Any) -> None:
    broker._process.send_signal(signal.SIGSTOP)


def wake(broker: Any) -> None:
    broker._process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("go", "come_back"), [(KafkaBroker.kill, KafkaBroker.start), (freeze, wake)])
async def test_kafka_that_was_away_keeps_nobody_from_what_comes_later(
    partner: Partner,
    receiver: Receiver,
    breakable: Backends,
    monkeypatch: pytest.MonkeyPatch,
    go: Callable[[KafkaBroker], None],
    come_back: Callable[[KafkaBroker], None],
) -> None:
    monkeypatch.setattr(queues, "KEPT_SECONDS", 0.5)  # a connection that nobody came back to is closed meanwhile
    broker = breakable.broker
    assert isinstance(broker, KafkaBroker)
    reply = {"id": "r", "type": "de.integrationsbuero.reply.accepted.v1", "data": {"referral_id": new_id()}}
    assert (await partner.call("PUT", "/webhook", {"url": receiver.url})).status_code == 201
    assert (await partner.get("/events")).status_code == 200

    go(broker)
    answers = await asyncio.gather(partner.get("/events"), partner.get("/status"), partner.reply(reply))
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert {answer.json()["type"] for answer in answers} == {"urn:integrationsbuero:problem:unavailable"}
    await asyncio.to_thread(come_back, broker)
    await partner.tell(partner.an_offer())

    async def is_told_everywhere() -> bool:
        feed, known = await partner.get("/events"), await partner.get("/referrals")
        return bool(feed.json().get("events") and known.json()["referrals"] and receiver.got)

    await eventually(is_told_everywhere, seconds=60)


async def test_who_waits_for_events_is_answered_when_the_gateway_ends(partner: Partner, gateway: Gateway) -> None:
    app = create_app(settings_of(gateway.backends, gateway.folder, {}))
    app.state.sign_in = sign_in()
    [port] = free_ports(1)
    server = Server(uvicorn.Config(app, port=port, lifespan="on", log_config=None), app.state.service)
    serving = asyncio.create_task(server._serve())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=40) as http:
        path, headers = f"/v1/partners/{partner.id}/events", signed(Role.PARTNER, partner_id=partner.id)

        async def lets_in() -> bool:
            try:
                return (await http.get(path, headers=headers)).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(lets_in)
        waiting = asyncio.create_task(http.get(path, headers=headers, params={"wait": 30}))
        assert not (await asyncio.wait({waiting}, timeout=1.5))[0]
        server.handle_exit(signal.SIGTERM, None)
        async with asyncio.timeout(8):
            answer = await waiting

    assert (answer.status_code, answer.json()["events"]) == (200, [])
    await serving
