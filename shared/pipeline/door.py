"""Group commit at the HTTP door: requests that arrive together share one transaction.

While one group is being stored the next one gathers, so under load the group grows and the cost of a durable write
is shared; alone, a request waits for nobody.
"""

import asyncio
from typing import Final, Generic

from shared.metrics import GROUP_REQUESTS
from shared.mongo import UnavailableError
from shared.pipeline.decisions import Command, Outcome, S
from shared.pipeline.engine import Engine
from shared.pipeline.outbox import Publisher

_Waiting = tuple[Command[S], "asyncio.Future[Outcome[S]]"]


class Door(Generic[S]):
    """Where the HTTP interface hands in its commands."""

    LARGEST_GROUP: Final = 200

    def __init__(self, engine: Engine[S], publisher: Publisher) -> None:
        self._engine = engine
        self._publisher = publisher
        self._queue: asyncio.Queue[_Waiting[S]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to store groups."""
        self._task = asyncio.create_task(self._store_groups())

    async def stop(self) -> None:
        """Store what was handed in, then end."""
        await self._queue.join()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def submit(self, command: Command[S]) -> Outcome[S]:
        """What came of the command, after its durable write; raises `UnavailableError` where the store is away."""
        if self._task is None:
            raise UnavailableError("the service is starting or stopping")
        outcome: asyncio.Future[Outcome[S]] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((command, outcome))
        return await outcome

    async def _store_groups(self) -> None:
        while True:
            group = [await self._queue.get()]
            while len(group) < self.LARGEST_GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            GROUP_REQUESTS.observe(len(group))
            await self._store(group)
            for _ in group:
                self._queue.task_done()

    async def _store(self, group: list[_Waiting[S]]) -> None:
        try:
            outcomes, streams = await self._engine.run([command for command, _ in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, UnavailableError):
                for waiting in group:
                    await self._store([waiting])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        self._publisher.nudge(streams)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
