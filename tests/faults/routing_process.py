"""One instance of routing as a process of its own; `python -m faults.routing_process [--die-at POINT]`.

It takes a few clocks at a time and waits only a moment for those it could not let take effect, so that one is caught in
the midst of them.
"""

import argparse
import os
import signal
from unittest.mock import patch

from toy.run import POINTS, interrupt

from services.routing.clockwork import Clockwork
from shared.topics import ServiceName
from wegweiser.service import service


def main() -> None:
    """Run until SIGTERM, with the settings of the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--die-at", choices=POINTS)
    said = parser.parse_args()
    if said.die_at:
        interrupt(said.die_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    with patch.multiple(Clockwork, AT_ONCE=5, PUTS_OFF=1.0):
        service(ServiceName.ROUTING)


if __name__ == "__main__":
    main()
