"""What dies is started again; what is stopped is stopped in order, also while it is still starting."""

import asyncio
import gc
import threading
from queue import Queue

import pytest

from deploy.errors import DeployError, KilledError
from wegweiser.supervisor import Supervisor, pause_before


class FakeServer:
    """A server that does what the test says, and notes what is done to it in a common list."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.name = name
        self.done = done
        self.running = threading.Event()
        self.trouble: list[DeployError] = []
        self.may_start = threading.Event()
        self.may_start.set()
        self.started = threading.Event()

    @property
    def is_running(self) -> bool:
        return self.running.is_set()

    def start(self) -> None:
        self.started.set()
        self.may_start.wait(10)
        if self.trouble:
            raise self.trouble.pop()
        self.running.set()
        self.done.append(f"start {self.name}")

    def stop(self) -> None:
        self.running.clear()
        self.may_start.set()

    def kill(self) -> None:
        self.running.clear()

    def restart(self) -> None:
        raise AssertionError("the supervisor never restarts what runs")

    def discard(self) -> None:
        self.running.clear()
        self.done.append(f"discard {self.name}")


def nobody(_: str) -> bool:
    """Nobody was stopped by hand."""
    return False


async def running_again(server: FakeServer) -> bool:
    return await asyncio.to_thread(server.running.wait, 10)


async def test_what_dies_is_started_again_and_it_is_said() -> None:
    said: list[str] = []
    server = FakeServer("kafka", [])
    supervisor = Supervisor(said.append, nobody)
    await supervisor.start(server)

    server.kill()
    assert await running_again(server)

    await supervisor.stop([[server]])
    assert server.done == ["start kafka", "start kafka", "discard kafka"]
    assert said[0] == "kafka has ended unexpectedly; it is started again in 0.5 s"


async def test_what_was_starting_when_it_was_stopped_by_hand_is_stopped_as_well() -> None:
    said: Queue[str] = Queue()
    stopped: set[str] = set()
    server = FakeServer("routing", [])
    supervisor = Supervisor(said.put, stopped.__contains__)
    await supervisor.start(server)

    stopped.add("routing")

    assert "stopped by hand" in await asyncio.to_thread(said.get, timeout=10)
    assert not server.is_running
    await supervisor.stop([[server]])


async def test_what_was_stopped_by_hand_stays_down_until_it_is_wanted_again() -> None:
    said: Queue[str] = Queue()
    stopped = {"routing"}
    server = FakeServer("routing", [])
    supervisor = Supervisor(said.put, stopped.__contains__)
    await supervisor.start(server)

    server.kill()
    assert await asyncio.to_thread(said.get, timeout=10) == (
        "routing is stopped by hand; `wegweiser start routing` starts it again"
    )
    assert not await asyncio.to_thread(server.running.wait, 0.5)

    stopped.clear()
    assert await running_again(server)
    await supervisor.stop([[server]])


async def test_what_fails_to_come_back_is_tried_again() -> None:
    said: list[str] = []
    server = FakeServer("kafka", [])
    supervisor = Supervisor(said.append, nobody)
    await supervisor.start(server)

    server.trouble.append(DeployError("its disk is full"))
    server.kill()
    assert await running_again(server)

    await supervisor.stop([[server]])
    assert "its disk is full" in said


async def test_what_is_killed_at_its_first_start_is_started_again() -> None:
    server = FakeServer("kafka", [])
    server.trouble.append(KilledError("killed"))
    supervisor = Supervisor(lambda _: None, nobody)
    await supervisor.start(server)
    assert await running_again(server)
    await supervisor.stop([[server]])


async def test_what_cannot_start_at_all_is_an_error() -> None:
    server = FakeServer("kafka", [])
    server.trouble.append(DeployError("port 29092 is held"))
    supervisor = Supervisor(lambda _: None, nobody)
    with pytest.raises(DeployError, match="port 29092 is held"):
        await supervisor.start(server)
    await supervisor.stop([[server]])


async def test_groups_are_stopped_one_after_another() -> None:
    done: list[str] = []
    service, kafka, mongod = (FakeServer(name, done) for name in ("routing", "kafka", "mongod"))
    supervisor = Supervisor(lambda _: None, nobody)
    await supervisor.start(mongod, kafka, service)
    done.clear()

    await supervisor.stop([[service], [kafka], [mongod]])

    assert done == ["discard routing", "discard kafka", "discard mongod"]
    assert not service.is_running


async def test_what_is_still_starting_is_stopped_as_well() -> None:
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    server = FakeServer("kafka", [])
    server.trouble.append(DeployError("kafka ended with -15 instead of starting"))
    server.may_start.clear()
    supervisor = Supervisor(lambda _: None, nobody)
    starting = asyncio.create_task(supervisor.start(server))
    await asyncio.to_thread(server.started.wait, 10)

    starting.cancel()
    await supervisor.stop([[server]])

    assert server.done[-1] == "discard kafka"
    assert not server.is_running
    del supervisor, starting
    gc.collect()
    assert unheard == []


def test_pauses_grow_up_to_half_a_minute() -> None:
    assert [pause_before(failures) for failures in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 30.0]
