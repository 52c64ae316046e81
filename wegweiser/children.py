"""The platform's own processes: services, and the sample consumers that stand for the partners' software."""

import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from deploy.embedded.daemon import Daemon, Home
from wegweiser.settings import SAMPLE_PARTNER

_ANSWER_SECONDS: Final = 2.0


class ServiceProcess(Daemon):
    """A service or the gateway; stopping it lets it finish what it is at."""

    stop_seconds = 45.0

    def __init__(self, name: str, home: Home, *, port: int, environment: Callable[[], Mapping[str, str]]) -> None:
        """`environment` is asked at each start."""
        super().__init__(name, home, ports={f"{name.upper()}_PORT": port})
        self._port = port
        self._environment = environment

    def command(self) -> Sequence[str]:
        """The same command an operator would type."""
        return [sys.executable, "-m", "wegweiser", "service", self.name]

    def environment(self) -> Mapping[str, str]:
        """Where everything is, and who it is there."""
        return {**self._environment(), "HOST": "127.0.0.1", "PORT": str(self._port)}

    def is_ready(self) -> bool:
        """Whether it says so itself: joined its group and polled."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


class PartnerProcess(Daemon):
    """A sample consumer of one partner, a program that knows nothing of ours."""

    def __init__(self, partner_id: str, home: Home, *, credentials: Path) -> None:
        """`credentials` is the file that was made for the partner, read at each start."""
        super().__init__(f"partner-{partner_id}", home)
        self.id = partner_id
        self._credentials = credentials
        self._data = home.data(self.name)

    @property
    def is_let_in(self) -> bool:
        """Whether there is such a file."""
        return self._credentials.exists()

    def command(self) -> Sequence[str]:
        """The example as a partner's developer would start it."""
        return [sys.executable, str(SAMPLE_PARTNER)]

    def environment(self) -> Mapping[str, str]:
        """All it is told."""
        told = {name: value or "" for name, value in dotenv_values(self._credentials).items()}
        return {**told, "GROUP": f"{self.id}.stand-in", "STATE_FILE": str(self._data / "known.sqlite")}

    def prepare(self) -> None:
        """Make the place where it remembers what it has dealt with."""
        self._data.mkdir(parents=True, exist_ok=True)

    def is_ready(self) -> bool:
        """It has no door to knock at; its queue waits for it."""
        return True
