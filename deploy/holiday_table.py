"""Writes the table of Hesse's public holidays that `shared/days.py` reads (`make holidays`).

A table, because importing the library costs a service 12 MB and 0.15 s.
"""

from typing import Final

from holidays import country_holidays

from shared.days import HOLIDAYS

YEARS: Final = range(2000, 2076)


def table() -> str:
    """A line for each year, its days as in ISO 8601."""
    years = (sorted(country_holidays("DE", subdiv="HE", years=year)) for year in YEARS)
    return "".join(" ".join(map(str, days)) + "\n" for days in years)


if __name__ == "__main__":
    HOLIDAYS.write_text(table(), encoding="ascii")
