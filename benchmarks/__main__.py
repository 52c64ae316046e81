"""`python -m benchmarks [part …]`: measure, print one table, keep it in `results/latest.json`."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import growth, hop
from benchmarks.figures import Figure, keep, plain, show
from benchmarks.harness import Bench, bench, fsync_milliseconds

RESULTS: Final = Path(__file__).parent / "results" / "latest.json"

PARTS: Final[Mapping[str, Callable[[Bench], Sequence[Figure]]]] = {
    "hop": hop.measure,
    "growth": growth.measure,
}


def main(chosen: Sequence[str]) -> int:
    """Measure the chosen parts; the exit code says whether every goal was met."""
    console = Console(stderr=False)
    figures: list[Figure] = []
    fsyncs: list[float] = []
    with bench() as ground:
        for name in chosen or PARTS:
            began = time.monotonic()
            fsyncs.append(fsync_milliseconds(ground.home))
            figures += PARTS[name](ground)
            console.print(f"{name}: {time.monotonic() - began:.0f} s")
        fsyncs.append(fsync_milliseconds(ground.home))
    figures.append(plain("fsync of the disk", fsyncs, "ms"))
    show(figures, console)
    if not chosen:
        keep(figures, RESULTS)
    return 0 if all(figure.met is not False for figure in figures) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="a part alone; its table is printed, not kept")
    sys.exit(main(parser.parse_args().part))
