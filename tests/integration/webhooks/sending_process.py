"""A gateway's sender as a process of its own; `sending_process.py MONGO_URL DATABASE PORT`, ended from outside."""

import asyncio
import sys

from sending import KEY

from services.gateway.webhooks.addresses import Place
from services.gateway.webhooks.deliveries import Deliveries
from services.gateway.webhooks.sender import Senders
from services.gateway.webhooks.store import Webhooks
from shared import mongo


async def main(url: str, name: str, port: str) -> None:
    """Send for one partner, to a receiver on this machine."""
    allowed = {"awo": {Place("localhost", int(port))}}
    database = mongo.connect(url)[name]
    await Senders(Webhooks(database), Deliveries(database), KEY, allowed=allowed).attend("awo")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
