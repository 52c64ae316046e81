"""A gateway's sender as a process of its own; `sending_process.py MONGO_URL DATABASE`, ended from outside."""

import asyncio
import sys

from sending import HOSTS, KEY

from services.gateway.webhooks.deliveries import Deliveries
from services.gateway.webhooks.sender import Senders
from services.gateway.webhooks.store import Webhooks
from shared import mongo


async def main(url: str, name: str) -> None:
    """Send for one partner."""
    database = mongo.connect(url)[name]
    await Senders(Webhooks(database), Deliveries(database), KEY, allowed=HOSTS).attend("awo")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
