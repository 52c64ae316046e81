"""`python -m wegweiser`: the same as the console script."""

from wegweiser.cli import main

main()
