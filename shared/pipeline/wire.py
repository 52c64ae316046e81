"""Reading what the Kafka client cannot: one broken record must not stop a partition.

aiokafka decodes header names as UTF-8 and raises out of `getmany` where one is not, for ever and for every record of
the same producer batch; broken checksums and unknown codecs take the same path. Here such a batch is read once more,
leniently: a header name keeps its bytes as surrogates, and a batch that cannot be read at all becomes one record an
offset, without key and value, that carries the `UNREADABLE` header. The pipeline sets both aside by their coordinates.

`install()` puts this reader in the place of the client's; it changes one name in one module of aiokafka 0.14, and
tests/integration/pipeline/test_hostile_records.py notices when another version no longer looks there.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy, decode_varint
from aiokafka.record.memory_records import MemoryRecords

log = structlog.get_logger()

UNREADABLE: Final = "integrationsbuero-unreadable"
_MAGIC: Final = 16


class LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """The client's own reader in Python, which keeps header names that are not UTF-8 as surrogates."""

    _pos: int

    def _read_msg(self, decode_varint: Any = decode_varint) -> Any:
        buffer, pos = self._buffer, self._pos
        length, start = decode_varint(buffer, pos)
        end = self._pos = start + length
        _, pos = decode_varint(buffer, start)
        timestamp_delta, pos = decode_varint(buffer, pos)
        offset_delta, pos = decode_varint(buffer, pos)
        try:
            key, value, headers = self._contents(pos, end)
        except (ValueError, IndexError):
            key, value, headers = None, None, [(UNREADABLE, b"length")]
        return _DefaultRecordPy(
            self.base_offset + offset_delta,
            self.first_timestamp + timestamp_delta,
            self.timestamp_type,
            key,
            value,
            headers,
        )

    def _contents(self, pos: int, end: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
        key, pos = self._bytes(pos)
        value, pos = self._bytes(pos)
        count, pos = decode_varint(self._buffer, pos)
        headers = []
        for _ in range(count):
            name, pos = self._bytes(pos)
            content, pos = self._bytes(pos)
            headers.append(((name or b"").decode("utf-8", "surrogateescape"), content))
            if pos > end:
                break
        if pos != end:
            raise ValueError("the lengths of a record do not add up")
        return key, value, headers

    def _bytes(self, pos: int) -> tuple[bytes | None, int]:
        length, pos = decode_varint(self._buffer, pos)
        if length < 0:
            return None, pos
        return bytes(self._buffer[pos : pos + length]), pos + length


class PatientBatch:
    """A batch of the client, read again leniently where it raises."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw
        self._first = int.from_bytes(raw[:8], "big")
        self._is_old = raw[_MAGIC] < 2  # one record a batch, before Kafka 0.11
        self._end = self._first + 1 if self._is_old else batch.next_offset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """Always true: a batch whose checksum is wrong is set aside record by record instead of stopping all."""
        return True

    def __next__(self) -> Any:
        return next(iter(self._batch))

    def __iter__(self) -> Iterator[Any]:
        if not self._batch.validate_crc():
            return self._unreadable(self._first, "crc")
        try:
            return self._within(list(self._batch))
        except Exception as error:
            log.warning("batch_read_leniently", offset=self._first, error=type(error).__name__)
        return self._unreadable(self._first, "format") if self._is_old else self._lenient()

    def _lenient(self) -> Iterator[Any]:
        records: list[Any] = []
        try:
            records.extend(LenientBatch(self._raw))  # keeps what came before an error
        except Exception as error:
            missing = records[-1].offset + 1 if records else self._first
            records += self._unreadable(missing, type(error).__name__)
        return self._within(records)

    def _within(self, records: list[Any]) -> Iterator[Any]:
        """The records, if their offsets are the batch's own: a position outside it would pass what others wrote."""
        offsets = [self._first - 1, *(record.offset for record in records), self._end]
        if self._is_old or all(one < next_ for one, next_ in pairwise(offsets)):
            return iter(records)
        return self._unreadable(self._first, "offsets")

    def _unreadable(self, offset: int, reason: str) -> Iterator[Any]:
        log.warning("batch_unreadable", offset=offset, error=reason)
        timestamp = -1 if self._is_old else self._batch.max_timestamp
        for missing in range(offset, self._end):
            yield _DefaultRecordPy(missing, timestamp, 0, None, None, [(UNREADABLE, reason.encode())])


class PatientRecords:
    """Stands in for the client's `MemoryRecords`; the raw bytes of a batch are kept for the second reading."""

    _LENGTH: Final = slice(8, 12)
    _OVERHEAD: Final = 12

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._records = MemoryRecords(data)
        self._pos = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        """The next batch, whose iteration does not raise."""
        head = self._data[self._pos :]
        size = self._OVERHEAD + int.from_bytes(head[self._LENGTH], "big")
        self._pos += size
        return PatientBatch(self._records.next_batch(), head[:size])


def install() -> None:
    """Let every consumer of this process read patiently."""
    fetcher.MemoryRecords = PatientRecords
