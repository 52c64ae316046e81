"""`/v1/partners/{partner_id}/webhook`: a partner has its events sent to an address of its own."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.api import PREFIX, too_much
from services.gateway.api.feed import reading
from services.gateway.api.webhook_bodies import (
    DeliveriesPage,
    DeliveryView,
    Replaying,
    ReplayWanted,
    Wanted,
    WebhookView,
    WebhookWithSecret,
)
from services.gateway.domain.cursors import Positions
from services.gateway.domain.webhooks import (
    BETWEEN_REPLAYS,
    RotatedTooOftenError,
    State,
    Webhook,
    new_seed,
    secret_of,
)
from services.gateway.partners import Partner
from services.gateway.queues import Readers
from services.gateway.webhooks.addresses import BadUrlError
from services.gateway.webhooks.deliveries import Deliveries
from services.gateway.webhooks.sender import Senders
from services.gateway.webhooks.store import Webhooks
from shared.mongo import StoreError
from shared.pipeline.engine import utc_now
from shared.web.bodies import json_body, read_json
from shared.web.cursor import cursor_at, position_at
from shared.web.faults import Fault
from shared.web.problems import PROBLEM_RESPONSES, ProblemError, not_valid
from shared.web.roles import Role, open_to

_PATH: Final = "/webhook"


def webhooks_router(
    partner_of: Callable[..., Partner],
    readers: Readers,
    webhooks: Webhooks,
    deliveries: Deliveries,
    senders: Senders,
    key: bytes,
) -> APIRouter:
    """The routes of a partner's webhook."""
    router = APIRouter(prefix=PREFIX, tags=["webhook"], responses=PROBLEM_RESPONSES)
    a_partner = open_to(Role.PARTNER)

    async def known_to(partner: Partner) -> Webhook:
        return _there(await webhooks.get(partner.id))

    async def shown(webhook: Webhook, now: datetime) -> WebhookView:
        return WebhookView.model_validate(
            {
                **webhook.model_dump(include={"url", "state", "since", "reason"}),
                "waiting": await deliveries.waiting(webhook),
                "old_secret_until": _old_secret_until(webhook, now),
            }
        )

    async def with_secret(webhook: Webhook, now: datetime) -> WebhookWithSecret:
        secret = secret_of(key, webhook.partner_id, webhook.seeds[0])
        return WebhookWithSecret.model_validate({**dict(await shown(webhook, now)), "secret": secret})

    @router.put(_PATH, dependencies=[a_partner], openapi_extra=json_body(Wanted), status_code=201)
    async def set_webhook(
        request: Request, response: Response, partner: Annotated[Partner, Depends(partner_of)]
    ) -> WebhookWithSecret | WebhookView:
        """Have the events of the queue sent to a URL from now on: 201, with the secret that signs them. A webhook that
        is there gets the new URL and keeps its secret and what waits (200); one that was disabled goes on."""
        try:
            url = await senders.checked(partner.id, (await read_json(request, Wanted)).url)
        except BadUrlError as error:
            raise not_valid([Fault("/url", str(error))]) from None
        now = utc_now()
        is_new = not await webhooks.move(partner.id, url) and await webhooks.put(
            partner.id, url, new_seed(), await _ends(readers, partner), now, admission=partner.admission
        )
        if is_new:
            await deliveries.forget_earlier(partner.id)  # what a gateway that was killed may have left
        else:
            await deliveries.hasten(await known_to(partner), now)
            await webhooks.change(partner.id, {State.ACTIVE, State.DISABLED}, State.ACTIVE, now)
        senders.nudge(partner.id)
        known = await known_to(partner)
        if is_new:
            return await with_secret(known, now)
        response.status_code = 200
        return await shown(known, now)

    @router.get(_PATH, dependencies=[a_partner])
    async def show_webhook(partner: Annotated[Partner, Depends(partner_of)]) -> WebhookView:
        """How the webhook stands."""
        return await shown(await known_to(partner), utc_now())

    @router.delete(_PATH, dependencies=[a_partner], status_code=204)
    async def remove_webhook(partner: Annotated[Partner, Depends(partner_of)]) -> None:
        """Send nothing any more, and forget the secret and what waits."""
        await webhooks.remove(partner.id)
        await deliveries.forget_earlier(partner.id)
        senders.nudge(partner.id)

    @router.post(f"{_PATH}/rotate-secret", dependencies=[a_partner])
    async def rotate_secret(partner: Annotated[Partner, Depends(partner_of)]) -> WebhookWithSecret:
        """Make a new secret. Until `old_secret_until`, a day later, the one before signs as well; so does each that was
        replaced within the day, at most five."""
        now = utc_now()
        try:
            known = _there(await webhooks.rotate(partner.id, new_seed(), now))
        except RotatedTooOftenError as error:
            raise _later("rotated-too-often", "Five times within a day.", error.until - now) from None
        senders.nudge(partner.id)
        return await with_secret(known, now)

    @router.post(f"{_PATH}/pause", dependencies=[a_partner])
    async def pause(partner: Annotated[Partner, Depends(partner_of)]) -> WebhookView:
        """Send nothing for now; what comes meanwhile waits. What is being sent is sent to its end."""
        now = utc_now()
        await webhooks.change(partner.id, {State.ACTIVE}, State.PAUSED, now)
        senders.nudge(partner.id)
        return await shown(await known_to(partner), now)

    @router.post(f"{_PATH}/resume", dependencies=[a_partner])
    async def resume(partner: Annotated[Partner, Depends(partner_of)]) -> WebhookView:
        """Go on after a pause, or after the webhook was disabled, at once with everything that waits."""
        now = utc_now()
        await deliveries.hasten(await known_to(partner), now)
        await webhooks.change(partner.id, {*State}, State.ACTIVE, now)
        senders.nudge(partner.id)
        return await shown(await known_to(partner), now)

    @router.post(f"{_PATH}/replay", dependencies=[a_partner], openapi_extra=json_body(ReplayWanted), status_code=202)
    async def replay(request: Request, partner: Annotated[Partner, Depends(partner_of)]) -> Replaying:
        """Send the events since a moment again, each with the header `webhook-replay: true`; once in ten minutes. Those
        from before there was a webhook are in the feed only."""
        begin = (await read_json(request, ReplayWanted)).begin
        now = utc_now()
        known = await known_to(partner)
        if not await webhooks.claim_replay(partner.id, now):
            last = (await known_to(partner)).replayed_at or now
            raise _later("replayed-already", "Once in ten minutes.", last + BETWEEN_REPLAYS - now)
        try:
            events = await deliveries.replay(known, begin, now)
        except StoreError:
            with suppress(StoreError):  # where the store is away for longer, the ten minutes pass
                await webhooks.give_replay_back(partner.id)
            raise
        senders.nudge(partner.id)
        return Replaying(events=events)

    @router.get(f"{_PATH}/deliveries", dependencies=[open_to(Role.PARTNER, Role.OPERATOR)])
    async def list_deliveries(
        partner: Annotated[Partner, Depends(partner_of)],
        state: Literal["failing", "all"] = "failing",
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> DeliveriesPage:
        """What became of the events, without what they say: those whose last attempt failed, or all of 29 days."""
        before = position_at(cursor) if cursor is not None else None
        known = await webhooks.get(partner.id)
        is_failing = state == "failing"
        found = await deliveries.page(known, only_failing=is_failing, before=before, limit=limit + 1) if known else []
        page = found[:limit]
        return DeliveriesPage(
            deliveries=[DeliveryView.model_validate(row) for row in page],
            next=cursor_at((page[-1]["time"], page[-1]["event_id"])) if found[limit:] else None,
        )

    return router


async def _ends(readers: Readers, partner: Partner) -> Positions:
    async with reading(readers, partner) as reader:
        return await reader.ends()


def _later(kind: str, why: str, left: timedelta) -> ProblemError:
    return too_much(kind, why, seconds=ceil(left.total_seconds()))


def _there(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise ProblemError(404, "no-webhook", "There is no webhook; PUT makes one.")
    return webhook


def _old_secret_until(webhook: Webhook, now: datetime) -> datetime | None:
    return next((seed.until for seed in webhook.seeds if seed.until and now < seed.until), None)
