"""How a trial is told what to do and tells what came of it."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop
from pydantic import BaseModel, ConfigDict, Field

from shared.kafka_access import KafkaAccess
from wegweiser.addresses import Bus


class Assignment(BaseModel):
    """What every trial is told: on its command line, as JSON, and in its environment where Kafka and MongoDB are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: KafkaAccess = Field(default_factory=Bus)
    mongo: str = Field(default_factory=lambda: os.environ["MONGO_URL"])


A = TypeVar("A", bound=Assignment)


def run(trial: Callable[[A], Coroutine[Any, Any, dict[str, Any]]], assignment: type[A]) -> None:
    """Do what the command line says, and print the result as the last line."""
    uvloop.install()
    print(json.dumps(asyncio.run(trial(assignment.model_validate_json(sys.argv[1])))))


def say_ready() -> None:
    """Tell the harness that it may go on."""
    print("ready", flush=True)


async def until_told() -> None:
    """Return when the harness closes our standard input."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
