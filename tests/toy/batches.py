"""Producer batches as no honest client writes them."""

from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBase, _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c

from toy.records import Written

CODECS: Final = {"plain": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_CRC: Final = slice(17, 21)
_ATTRIBUTES: Final = 21


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


async def write_batch(kafka: str, topic: str, events: Sequence[Written], codec: str = "plain") -> None:
    """Put the events on partition 0 as one producer batch, whatever is in it."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        batch = producer.create_batch()
        batch._builder = builder_of(events, codec)
        batch._relative_offset = len(events)
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))


async def write_copies(kafka: str, topic: str, events: Sequence[Written], copies: int) -> None:
    """Put the same events on partition 0 many times, compressed, as fast as the broker takes them."""
    data = bytes(builder_of(events, "gzip").build())
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for _ in range(copies):
            batch = producer.create_batch()
            batch._buffer = data
            batch._relative_offset = len(events)
            batch.close()
            await producer.send_batch(batch, topic, partition=0)
        await producer.flush()
