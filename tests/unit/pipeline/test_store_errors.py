"""What a driver's error means: try again at once, try again later, or never."""

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from shared.mongo import KeyTakenError, LostRaceError, RefusedError, UnavailableError, translate

SECRET = "Anna Beispiel"


def transient(code: int) -> OperationFailure:
    """An error that the server calls transient."""
    return OperationFailure(SECRET, code, {"errorLabels": ["TransientTransactionError"]})


def bulk(*codes: int) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [{"code": code, "op": {"name": SECRET}} for code in codes]})


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (DuplicateKeyError(SECRET, 11000), KeyTakenError),
        (bulk(11000), KeyTakenError),
        (bulk(11000, 112), LostRaceError),
        (OperationFailure(SECRET, 112), LostRaceError),
        (transient(112), LostRaceError),
        (transient(246), LostRaceError),
        (transient(251), UnavailableError),
        (bulk(91), UnavailableError),
        (bulk(), UnavailableError),
        (AutoReconnect(SECRET), UnavailableError),
        (ServerSelectionTimeoutError(SECRET), UnavailableError),
        (ExecutionTimeout(SECRET, 50), UnavailableError),
        (OperationFailure(SECRET, 13), UnavailableError),
        (OperationFailure(SECRET, 11600), UnavailableError),
        (PyMongoError(SECRET), UnavailableError),
        (bulk(121), RefusedError),
        (OperationFailure(SECRET, 10334), RefusedError),
        (OverflowError(SECRET), RefusedError),
        (InvalidDocument(SECRET), RefusedError),
        (DocumentTooLarge(SECRET), RefusedError),
    ],
)
def test_an_error_is_translated_without_its_text(error: Exception, meaning: type[Exception]) -> None:
    translated = translate(error)

    assert type(translated) is meaning
    assert SECRET not in str(translated)


def test_our_own_errors_stay_what_they_are() -> None:
    error = UnavailableError("away")

    assert translate(error) is error
