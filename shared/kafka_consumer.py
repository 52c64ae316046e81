"""The client's consumer, which can be stopped while its broker is away, too."""

import asyncio

from aiokafka import AIOKafkaConsumer


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """As the client's, but for its end."""

    async def stop(self) -> None:
        """Disconnect; raises `KafkaError`.

        The client waits for fetches that it has cancelled itself. One that rests after a failure then ends the wait as
        if whoever stops were cancelled, and the connections stay open.
        """
        stopping = asyncio.create_task(super().stop())
        try:
            await asyncio.wait({stopping})
        except asyncio.CancelledError:
            stopping.cancel()
            await self._client.close()
            raise
        if stopping.cancelled():
            await self._client.close()
        else:
            stopping.result()
