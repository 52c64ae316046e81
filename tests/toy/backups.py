"""A backup of one database, and its restore."""

from typing import Any

from pymongo.read_concern import ReadConcern

from shared.mongo import Database

Backup = dict[str, list[dict[str, Any]]]


async def back_up(database: Database) -> Backup:
    """Every document of every collection, as the server itself knows it at this moment."""
    latest = database.with_options(read_concern=ReadConcern("local"))
    return {name: await latest[name].find().to_list(None) for name in await latest.list_collection_names()}


async def restore(database: Database, backup: Backup) -> None:
    """The same documents and no others; indexes stay."""
    for name in await database.list_collection_names():
        await database[name].delete_many({})
        if documents := backup.get(name):
            await database[name].insert_many(documents)
