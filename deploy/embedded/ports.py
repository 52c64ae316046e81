"""Who holds a TCP port on this machine, told from /proc: a taken port is named, not fought."""

import random
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.errors import DeployError

_LISTENING: Final = "0A"
_LONGEST_COMMAND: Final = 160
_LOWEST: Final = 10_000
_HIGHEST: Final = 65535
_ENOUGH: Final = 1000
_ANOTHER: Final = 100
"""How far away a port is proposed instead of a taken one: beyond the neighbours, which are ours as well."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port; `pid` is `None` where it belongs to another user."""

    pid: int | None
    command: str


class PortTakenError(DeployError):
    """Another process listens where we want to.

    `setting` chooses the port; `earlier_run` where it is a child of ours that was left behind.
    """

    def __init__(
        self, name: str, port: int, holder: Holder, *, setting: str, command: str = "make run", earlier_run: bool
    ) -> None:
        self.port = port
        self.holder = holder
        who = f"process {holder.pid} ({holder.command})" if holder.pid else "a process of another user"
        other = port + _ANOTHER if port + _ANOTHER <= _HIGHEST else port - _ANOTHER
        advice = (
            "it was left by an earlier run, `make down` ends it"
            if earlier_run
            else f"end it or choose another port: {setting}={other} {command}"
        )
        super().__init__(f"{name} cannot start: port {port} is held by {who}; {advice}")


def holder_of(port: int) -> Holder | None:
    """The process that listens on `port` at any local address, or `None` where the port is free."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        if _has_open(process, sockets):
            return Holder(int(process.name), command_of(int(process.name)))
    return Holder(None, "")


def command_of(pid: int) -> str:
    """The command line of a process, shortened in the middle: a Java class path is long, its ends tell what it is."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "ended meanwhile"
    if len(command) <= _LONGEST_COMMAND:
        return command
    half = _LONGEST_COMMAND // 2
    return f"{command[:half]} … {command[-half:]}"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody holds at this moment, all different.

    They are none of those that the kernel gives to outgoing connections, which could take one before it is used, unless
    the machine is set to give out nearly all.
    """
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    beside = max(range(_LOWEST, first), range(last + 1, _HIGHEST + 1), key=len)
    choice = beside if len(beside) > _ENOUGH else range(_LOWEST, _HIGHEST + 1)
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port, taken = random.choice(choice), held.enter_context(socket.socket())  # noqa: S311
            with suppress(OSError):  # somebody listens there
                taken.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def accepts_connections(port: int) -> bool:
    """Whether something on 127.0.0.1 takes connections on `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():  # a machine without IPv6
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                inodes.add(inode)
    return inodes


def _has_open(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(file.readlink()) in sockets for file in (process / "fd").iterdir())
    except OSError:  # it ended meanwhile, or is not ours to look into
        return False
