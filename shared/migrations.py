"""Indexes and other changes of the store, applied once each, in order, at start-up.

Every step may be repeated: two instances that start together may both run it. A step that an older version of
the service could not live with is split in two releases, because both versions run side by side during a roll-out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from shared.mongo import Database, LostRaceError, UnavailableError, translated

log = structlog.get_logger()

NAMESPACE_EXISTS: Final = 48


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: `id` is its lasting name and the order follows the list."""

    id: str
    apply: Callable[[Database], Awaitable[None]]


async def migrate(database: Database, migrations: Sequence[Migration]) -> None:
    """Apply what has not been applied; waits for the store to come up."""
    while True:
        try:
            async with translated():
                await _apply(database, migrations)
        except (UnavailableError, LostRaceError) as error:
            log.warning("store_not_ready", error=str(error))
            await asyncio.sleep(0.5)
        else:
            return


async def _apply(database: Database, migrations: Sequence[Migration]) -> None:
    done = {row["_id"] async for row in database["migrations"].find({}, {"_id": 1})}
    for migration in migrations:
        if migration.id in done:
            continue
        await migration.apply(database)
        try:
            await database["migrations"].insert_one({"_id": migration.id, "at": datetime.now(UTC)})
        except DuplicateKeyError:
            continue
        log.info("migration_applied", migration=migration.id, database=database.name)


async def ensure_collection(database: Database, name: str) -> None:
    """Create a collection before a transaction needs it; one that is there is left alone."""
    try:
        await database.create_collection(name)
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
