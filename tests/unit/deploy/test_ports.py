"""A taken port is named by the process that holds it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.daemon import Home
from deploy.embedded.mail import MailSink
from deploy.embedded.ports import PortTakenError, accepts_connections, free_ports, holder_of

LISTENER = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"


@pytest.fixture
def foreign() -> Iterator[tuple[int, int]]:
    """A process of somebody else and the port it listens on."""
    [port] = free_ports(1)
    with subprocess.Popen([sys.executable, "-c", LISTENER.format(port=port)]) as process:
        give_up = time.monotonic() + 20
        while not accepts_connections(port):
            assert time.monotonic() < give_up
        yield process.pid, port
        process.kill()


def test_a_free_port_has_no_holder() -> None:
    [port] = free_ports(1)
    assert holder_of(port) is None


def test_our_own_listener_is_found_by_its_pid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        holder = holder_of(server.getsockname()[1])
    assert holder is not None
    assert holder.pid == os.getpid()


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_server_names_the_foreign_process_on_its_port(foreign: tuple[int, int], tmp_path: Path) -> None:
    pid, port = foreign
    server = MailSink(Home(tmp_path), port=port, folder=tmp_path)

    with pytest.raises(PortTakenError) as refused:
        server.start()

    assert f"port {port} is held by process {pid} (" in str(refused.value)
    assert "end it or choose another port: SMTP_PORT=" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_knows_what_an_earlier_run_left_behind(foreign: tuple[int, int], tmp_path: Path) -> None:
    pid, port = foreign
    home = Home(tmp_path)
    home.pid_file("mail").write(pid)

    with pytest.raises(PortTakenError, match="left by an earlier run, `make down` ends it"):
        MailSink(home, port=port, folder=tmp_path).start()
