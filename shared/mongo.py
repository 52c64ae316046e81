"""The one place that knows the MongoDB driver: connecting, transactions, and what its errors mean for us.

Driver errors print whole documents, so they never leave this module: what is raised here names the kind of
failure and the driver's class and code, nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorDatabase
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

Database = AsyncIOMotorDatabase[dict[str, Any]]
Session = AsyncIOMotorClientSession

SNAPSHOT: Final = ReadConcern("snapshot")
COMMIT_PATIENCE: Final = 15.0
"""Seconds a commit with unknown result is repeated; a commit may be repeated safely as often as one likes."""

_DUPLICATE_KEY: Final = 11000
_WRITE_CONFLICT: Final = 112
_AT_ONCE: Final = frozenset({_WRITE_CONFLICT, 246})
"""Another writer, or a collection or index that was made a moment ago (SnapshotUnavailable)."""
_THE_DOCUMENTS_FAULT: Final = frozenset({2, 9, 14, 15, 17, 22, 28, 40, 52, 56, 57, 66, 121, 10334, 17280, 17419, 17420})
"""Bad values, types, names, sizes and broken validation rules; whatever else a server says may pass with time."""


class StoreError(Exception):
    """Something went wrong with the store; the text names classes and codes only."""


class UnavailableError(StoreError):
    """The store is away or overloaded: the same work may succeed later."""


class LostRaceError(StoreError):
    """Another writer was first: reload and decide again."""


class KeyTakenError(LostRaceError):
    """A unique key is taken, by a writer that has finished."""


class RefusedError(StoreError):
    """The store will never take this: one of the documents is at fault."""


def connect(url: str) -> AsyncIOMotorClient[dict[str, Any]]:
    """A client whose writes are acknowledged by a majority's journal. Nothing is opened before the first call."""
    return AsyncIOMotorClient(
        url,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        tz_aware=True,
        serverSelectionTimeoutMS=5000,
        connectTimeoutMS=5000,
        socketTimeoutMS=30000,
        maxPoolSize=20,
        appname="integrationsbuero",
    )


def translate(error: Exception) -> StoreError:
    """What a driver error means for us, without its text."""
    if isinstance(error, StoreError):
        return error
    name = type(error).__name__
    if isinstance(error, DuplicateKeyError):
        return KeyTakenError(f"{name}: a unique key is taken")
    if isinstance(error, BulkWriteError):
        codes = {failure.get("code") for failure in error.details.get("writeErrors", ())}
        if codes & {_DUPLICATE_KEY, _WRITE_CONFLICT}:
            lost = KeyTakenError if _WRITE_CONFLICT not in codes else LostRaceError
            return lost(f"{name}: codes {sorted(map(str, codes))}")
        if codes and codes <= _THE_DOCUMENTS_FAULT:
            return RefusedError(f"{name}: codes {sorted(map(str, codes))}")
        return UnavailableError(f"{name}: codes {sorted(map(str, codes))}")
    if isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError"):
        code = getattr(error, "code", None)
        if code in _AT_ONCE:
            return LostRaceError(f"{name}: code {code}")
        return UnavailableError(f"{name}: code {code}")
    if isinstance(error, BSONError | OverflowError | DocumentTooLarge):
        return RefusedError(f"{name}: a document cannot be stored")
    if isinstance(error, ConnectionFailure | ExecutionTimeout | InvalidOperation):
        return UnavailableError(name)
    if isinstance(error, OperationFailure):
        if error.code == _WRITE_CONFLICT:
            return LostRaceError(f"{name}: code {error.code}")
        if error.code in _THE_DOCUMENTS_FAULT:
            return RefusedError(f"{name}: code {error.code}")
        return UnavailableError(f"{name}: code {error.code}")
    return UnavailableError(name)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Raises what the driver raises as our own errors."""
    try:
        yield
    except (PyMongoError, BSONError, OverflowError) as error:
        raise translate(error) from None


async def transact(database: Database, work: Callable[[Session], Awaitable[None]]) -> None:
    """Run `work` in one transaction and commit it durably.

    Raises `LostRaceError`, `RefusedError` or `UnavailableError`; nothing of the work is stored then, except that after
    an `UnavailableError` it may be stored all the same (the marks in the inbox make a repetition harmless).
    """
    async with translated(), await database.client.start_session() as session:
        session.start_transaction(read_concern=SNAPSHOT)
        try:
            await work(session)
        except BaseException:
            await asyncio.shield(_abort(session))
            raise
        await _commit(session)


async def _abort(session: Session) -> None:
    try:
        await session.abort_transaction()
    except PyMongoError:
        return  # the server ends it by itself after transactionLifetimeLimitSeconds


async def _commit(session: Session) -> None:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + COMMIT_PATIENCE
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            if loop.time() > give_up:  # whatever the error is called: it may be stored all the same
                raise UnavailableError(f"{type(error).__name__}: commit with unknown result") from None
            await asyncio.sleep(0.2)
        else:
            return


async def longest_transaction(database: Database) -> int | None:
    """Seconds after which the server ends a transaction whose owner died; None where we may not ask."""
    try:
        answer = await database.client.admin.command({"getParameter": 1, "transactionLifetimeLimitSeconds": 1})
    except PyMongoError:
        return None
    return int(answer["transactionLifetimeLimitSeconds"])
