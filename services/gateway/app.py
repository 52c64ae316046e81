"""The wiring of the gateway."""

import asyncio

from fastapi import FastAPI

from services.gateway.api import Entrance
from services.gateway.api.feed import feed_router
from services.gateway.api.referrals import referrals_router
from services.gateway.api.replies import replies_router
from services.gateway.api.status import status_router
from services.gateway.api.webhooks import webhooks_router
from services.gateway.partners import Partner, Partners
from services.gateway.queues import Follower, Readers
from services.gateway.repository import MIGRATIONS, Knowledge
from services.gateway.settings import GatewaySettings
from services.gateway.webhooks.deliveries import Deliveries
from services.gateway.webhooks.migrations import MIGRATIONS as OF_WEBHOOKS
from services.gateway.webhooks.sender import Senders
from services.gateway.webhooks.store import Webhooks
from services.gateway.writers import Writers
from shared.service import BareService
from shared.topics import GATEWAY
from shared.web.roles import Role


def create_app(settings: GatewaySettings | None = None) -> FastAPI:
    """The gateway as an application; its settings come from the environment where none are given."""
    settings = settings or GatewaySettings()
    service = BareService(GATEWAY, settings, migrations=(*MIGRATIONS, *OF_WEBHOOKS))
    knowledge, readers, writers = Knowledge(service.database), Readers(), Writers()
    webhooks, deliveries = Webhooks(service.database), Deliveries(service.database)
    webhook_key = settings.webhook_key.get_secret_value().encode()
    senders = Senders(webhooks, deliveries, webhook_key, allowed=settings.webhook_hosts)
    follower = Follower(knowledge, takers=(senders.take,))

    async def attend(partner: Partner) -> None:
        writers.open(partner)
        try:
            await webhooks.forget_of_other_admission(partner.id, partner.admission)
            await deliveries.forget_earlier(partner.id)
            async with asyncio.TaskGroup() as tasks:
                for work in (follower.follow(partner), senders.attend(partner.id), readers.keep_tidy(partner)):
                    tasks.create_task(work)
        finally:
            await writers.close(partner)

    partners = Partners(settings.partners_folder, attend)
    service.employ(partners)
    entrance, key = Entrance(partners).partner_of, settings.cursor_key.get_secret_value().encode()
    app = service.app(readers=(Role.OPERATOR, Role.PARTNER))
    for router in (
        feed_router(entrance, readers, key),
        replies_router(entrance, writers),
        referrals_router(entrance, knowledge, key),
        status_router(entrance, knowledge),
        webhooks_router(entrance, readers, webhooks, deliveries, senders, webhook_key),
    ):
        app.include_router(router)
    return app
