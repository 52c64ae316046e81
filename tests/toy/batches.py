"""Producer batches as no honest client writes them."""

from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBase, _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c

from shared.contracts.base import new_id
from shared.kafka_access import KafkaAccess
from toy.records import Written
from toy.trial import PARTITIONS

CODECS: Final = {"plain": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_CRC: Final = slice(17, 21)
_ATTRIBUTES: Final = 21
_COPY: Final = "c0b1e5ff"


class RawName(str):
    """A header name that goes on the wire as bytes that are not UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        """Not what it looks like."""
        return b"x-\xff\xfe"


def with_raw_name(written: Written) -> Written:
    """The event with one more header, whose name is not UTF-8."""
    written.headers.append((RawName("raw"), b"1"))
    return written


def builder_of(events: Sequence[Written], codec: str = "plain") -> _DefaultRecordBatchBuilderPy:
    """The events in one batch that is still open."""
    builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], 0, -1, -1, -1, 16 * 1024 * 1024)
    for offset, event in enumerate(events):
        builder.append(offset, 1_700_000_000_000, event.key, event.value, event.headers)
    return builder


def bytes_of(events: Sequence[Written], codec: str = "plain", *, base_offset: int = 0) -> bytearray:
    """The events as one batch in a fetch answer."""
    data = bytearray(builder_of(events, codec).build())
    data[:8] = base_offset.to_bytes(8, "big")
    return data


def sealed(data: bytearray) -> bytearray:
    """The batch with the checksum of what it holds now."""
    data[_CRC] = calc_crc32c(bytes(data[DefaultRecordBase.ATTRIBUTES_OFFSET :])).to_bytes(4, "big")
    return data


def with_codec(data: bytearray, codec: int) -> bytearray:
    """The batch, claiming another compression."""
    data[_ATTRIBUTES + 1] = codec
    return sealed(data)


async def write_batch(kafka: KafkaAccess, topic: str, events: Sequence[Written], codec: str = "plain") -> None:
    """Put the events on partition 0 as one producer batch, whatever is in it."""
    async with AIOKafkaProducer(**kafka.options, acks="all") as producer:
        batch = producer.create_batch()
        batch._builder = builder_of(events, codec)
        batch._relative_offset = len(events)
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))


def to_be_copied() -> Written:
    """An event for `write_copies`: its own id and its case's begin with what differs from copy to copy."""
    case_id, id_ = (_COPY + new_id()[len(_COPY) :] for _ in range(2))
    return Written(case_id, id_=id_)


async def write_copies(kafka: KafkaAccess, topic: str, events: Sequence[Written], copies: range) -> None:
    """Put copies of the events on the topic, compressed and as fast as the broker takes them.

    A copy is made of bytes, yet each of its events is one of its own; the same number makes the same copy.
    """
    builder = builder_of(events, "zstd")
    original = bytes(builder._buffer)
    async with AIOKafkaProducer(**kafka.options, acks="all") as producer:
        for copy in copies:
            builder._buffer = bytearray(original.replace(_COPY.encode(), f"{copy:08x}".encode()))
            batch = producer.create_batch()
            batch._buffer = bytes(builder.build())
            batch._relative_offset = len(events)
            batch.close()
            await producer.send_batch(batch, topic, partition=copy % PARTITIONS)
        await producer.flush()
