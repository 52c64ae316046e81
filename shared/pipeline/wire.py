"""Reading what the Kafka client cannot: one broken record must not stop a partition.

aiokafka decodes header names as UTF-8 and raises out of `getmany` where one is not, for ever and for every record of
the same producer batch; broken checksums and unknown codecs take the same path. Here such a batch is read once more,
leniently: a header name keeps its bytes as surrogates, and a batch that cannot be read at all becomes one record an
offset, without key and value, that carries the `UNREADABLE` header. The pipeline sets both aside by their coordinates.

It also unpacks compressed batches without a limit, and a few kilobytes may be gigabytes. Here they are unpacked as far
as `LARGEST_BATCH`, and read record by record with bounded headers; what is larger cannot be read.

`install()` puts this reader in the place of the client's; it changes one name in one module of aiokafka 0.14, and
tests/integration/pipeline/test_hostile_records.py notices when another version no longer looks there.
"""

from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Any, Final

import cramjam
import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy, decode_varint
from aiokafka.record.memory_records import MemoryRecords

log = structlog.get_logger()

UNREADABLE: Final = "integrationsbuero-unreadable"
LARGEST_BATCH: Final = 16 * 1024 * 1024
"""Bytes that a compressed batch may unpack to, as much as MongoDB takes in a document; and about as many as the batches
of one fetch answer may unpack to together: the rest of it is fetched again."""
_FOUND_TOO_LARGE: Final = LARGEST_BATCH // 8
"""What a batch that is too large counts for: to find that out takes as long, and nobody else is served meanwhile."""
MOST_OFFSETS: Final = 20_000
"""Offsets that a batch may span; for one that claims more, its last offset stands for all."""
MOST_HEADERS: Final = 100
"""Headers of a record in a batch read here; each takes up to forty times its bytes once it is read."""
_MAGIC: Final = 16
_LOW_ATTRIBUTES: Final = (17, 22)
"""Where a batch names its compression: before Kafka 0.11, and since."""
_XERIAL: Final = b"\x82SNAPPY\0"
_XERIAL_HEADER: Final = 16


class UnreadableBatchError(Exception):
    """A batch, or the rest of it, that is not to be read; carries the reason."""


def _unpacked(codec: int, data: memoryview) -> bytearray:
    """What a compressed batch holds; raises `UnreadableBatchError` where that is too much."""
    room = memoryview(mmap(-1, LARGEST_BATCH))  # takes memory only as far as it is written to
    try:
        size = _UNPACK[codec](data, room)
    except cramjam.DecompressionError as error:
        if "whole buffer" in str(error):
            raise UnreadableBatchError("size") from None
        raise
    return bytearray(room[:size])


def _unpack_snappy(data: memoryview, room: memoryview) -> int:
    """As one block, or as the Java clients write it: in blocks, each behind its length."""
    if data[: len(_XERIAL)].tobytes() != _XERIAL:
        return _unpack_block(data, room)
    size, position = 0, _XERIAL_HEADER
    while position < len(data):
        start = position + 4
        position = start + int.from_bytes(data[position:start], "big")
        size += _unpack_block(data[start:position], room[size:])
    return size


def _unpack_block(data: memoryview, room: memoryview) -> int:
    if cramjam.snappy.decompress_raw_len(data) > len(room):
        raise UnreadableBatchError("size")
    return cramjam.snappy.decompress_raw_into(data, room)


_UNPACK: Final[dict[int, Callable[[memoryview, memoryview], int]]] = {
    _DefaultRecordBatchPy.CODEC_GZIP: cramjam.gzip.decompress_into,
    _DefaultRecordBatchPy.CODEC_SNAPPY: _unpack_snappy,
    _DefaultRecordBatchPy.CODEC_LZ4: cramjam.lz4.decompress_into,
    _DefaultRecordBatchPy.CODEC_ZSTD: cramjam.zstd.decompress_into,
}


class LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """The client's own reader in Python, which keeps header names that are not UTF-8 as surrogates."""

    _buffer: bytearray
    _decompressed: bool
    _pos: int

    def _maybe_uncompress(self) -> None:
        if self.compression_type and not self._decompressed:
            self._assert_has_codec(self.compression_type)
            self._buffer = _unpacked(self.compression_type, memoryview(self._buffer)[self._pos :])
            self._pos = 0
        self._decompressed = True

    @property
    def size(self) -> int:
        """Bytes it holds, unpacked where its iteration has begun."""
        return len(self._buffer)

    def _read_msg(self, decode_varint: Any = decode_varint) -> Any:
        buffer, pos = self._buffer, self._pos
        length, start = decode_varint(buffer, pos)
        end = self._pos = start + length
        _, pos = decode_varint(buffer, start)
        timestamp_delta, pos = decode_varint(buffer, pos)
        offset_delta, pos = decode_varint(buffer, pos)
        is_appended = self.timestamp_type == self.LOG_APPEND_TIME
        try:
            key, value, headers = self._contents(pos, end)
        except (ValueError, IndexError):
            key, value, headers = None, None, [(UNREADABLE, b"length")]
        return _DefaultRecordPy(
            self.base_offset + offset_delta,
            self.max_timestamp if is_appended else self.first_timestamp + timestamp_delta,
            self.timestamp_type,
            key,
            value,
            headers,
        )

    def _contents(self, pos: int, end: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
        key, pos = self._bytes(pos)
        value, pos = self._bytes(pos)
        count, pos = decode_varint(self._buffer, pos)
        if count > MOST_HEADERS:
            raise ValueError("nobody writes so many headers")
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
    """A batch of the client, read leniently where the client raises or would unpack without a limit.

    `spend` is told how many bytes it was unpacked to.
    """

    def __init__(self, batch: Any, raw: memoryview, spend: Callable[[int], None]) -> None:
        self._batch = batch
        self._raw = raw
        self._spend = spend
        self._first = int.from_bytes(raw[:8], "big")
        self._is_old = raw[_MAGIC] < 2  # one record a batch, before Kafka 0.11
        self._is_packed = bool(raw[_LOW_ATTRIBUTES[not self._is_old]] & _DefaultRecordBatchPy.CODEC_MASK)
        self._end = self._first + 1 if self._is_old else batch.next_offset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """Always true: a batch whose checksum is wrong is set aside record by record instead of stopping all."""
        return True

    def __next__(self) -> Any:
        return next(iter(self))

    def __iter__(self) -> Iterator[Any]:
        """Its records at offsets of its own, in order: a position outside them would pass what others wrote."""
        next_ = self._first
        try:
            for record in self._records():
                if not (self._is_old or next_ <= record.offset < self._end):
                    yield from self._unreadable(next_, "offsets")
                    return
                yield record
                next_ = record.offset + 1
        except UnreadableBatchError as error:
            yield from self._unreadable(next_, str(error))
        except Exception as error:
            yield from self._unreadable(next_, type(error).__name__)

    def _records(self) -> Iterator[Any]:
        if not self._batch.validate_crc():
            raise UnreadableBatchError("crc")
        if self._end - self._first > MOST_OFFSETS:
            raise UnreadableBatchError("size")
        if not self._is_packed:
            try:
                return iter(list(self._batch))
            except Exception as error:
                log.warning("batch_read_leniently", offset=self._first, error=type(error).__name__)
        if self._is_old:
            raise UnreadableBatchError("format")
        lenient = LenientBatch(self._raw)
        try:
            records: Iterator[Any] = iter(lenient)
        except UnreadableBatchError:
            self._spend(_FOUND_TOO_LARGE)
            raise
        self._spend(lenient.size)
        return records

    def _unreadable(self, offset: int, reason: str) -> Iterator[Any]:
        log.warning("batch_unreadable", offset=offset, end=self._end, error=reason)
        timestamp = -1 if self._is_old else self._batch.max_timestamp
        if self._end - offset > MOST_OFFSETS:
            reason, offset = f"{reason} from {offset}", self._end - 1
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
        self._unpacked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def has_next(self) -> bool:
        """Whether there is a batch to read now; the client asks anew for what is left over."""
        return self._unpacked < LARGEST_BATCH and self._records.has_next()

    def _spend(self, size: int) -> None:
        self._unpacked += size

    def next_batch(self) -> Any:
        """The next batch, whose iteration does not raise."""
        head = self._data[self._pos :]
        size = self._OVERHEAD + int.from_bytes(head[self._LENGTH], "big")
        self._pos += size
        return PatientBatch(self._records.next_batch(), head[:size], self._spend)


def install() -> None:
    """Let every consumer of this process read patiently."""
    fetcher.MemoryRecords = PatientRecords
