"""`python -m benchmarks [part …]`: measure and print one table; a whole run is kept in `results/latest.json`."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import (
    chain,
    clocks,
    decide,
    fanout,
    flood,
    footprint,
    growth,
    hop,
    http_intake,
    latency,
    simulate,
    tls,
    webhooks,
)
from benchmarks.figures import Figure, keep, plain, show
from benchmarks.harness import Bench, bench, fsync_milliseconds
from benchmarks.services import Services

RESULTS: Final = Path(__file__).parent / "results" / "latest.json"

OF_THE_PLATFORM: Final[Mapping[str, Sequence[Callable[[Bench, Services], Sequence[Figure]]]]] = {
    "chain": [footprint.starts, chain.measure, footprint.load_behind],
    "latency": [latency.measure],
    "flood": [flood.measure],
    "tls": [tls.measure],
    "clocks": [clocks.measure],
    "http": [http_intake.measure],
    "fanout": [fanout.measure],
    "webhooks": [webhooks.measure],
}
"""First, since the services would read what the parts of the pipeline leave on the bus. `http` leaves more cases behind
than routing has read when it ends, and `fanout` passes over them."""

OF_THE_PIPELINE: Final[Mapping[str, Callable[[Bench], Sequence[Figure]]]] = {
    "hop": hop.measure,
    "growth": growth.measure,
    "simulate": simulate.measure,
    "decide": decide.measure,
}

PARTS: Final = (*OF_THE_PLATFORM, *OF_THE_PIPELINE)


def main(chosen: Sequence[str], *, quick: bool) -> int:
    """Measure the chosen parts, or all; the exit code says whether every goal was met."""
    console = Console(width=150)
    figures: list[Figure] = []
    with bench(quick=quick) as ground:
        fsyncs = []
        for name, measure in _steps(ground, chosen or PARTS):
            fsyncs.append(fsync_milliseconds(ground.home))
            began = time.monotonic()
            figures += measure()
            console.print(f"{name}: {time.monotonic() - began:.0f} s", style="dim")
    figures.append(plain(f"fsync of the disk ({os.cpu_count()} cores here)", fsyncs, "ms"))
    show(figures, console)
    if not (chosen or quick):
        keep(figures, RESULTS)
    return 0 if all(figure.met is not False for figure in figures) else 1


def _steps(ground: Bench, chosen: Iterable[str]) -> Iterator[tuple[str, Callable[[], Sequence[Figure]]]]:
    services = Services(ground)
    try:
        for name, measures in OF_THE_PLATFORM.items():
            if name in chosen:
                yield from ((f"{name}: {measure.__name__}", partial(measure, ground, services)) for measure in measures)
    finally:
        services.stop()
    for name, of_pipeline in OF_THE_PIPELINE.items():
        if name in chosen:
            yield name, partial(of_pipeline, ground)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(PARTS)}: the table of a part is printed, not kept")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, once, to see that it works")
    asked = parser.parse_args()
    if unknown := set(asked.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    sys.exit(main(asked.part, quick=asked.quick))
