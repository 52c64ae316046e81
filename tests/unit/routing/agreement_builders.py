"""Agreements of a few rules; each builder names only what a test is about."""

from datetime import date
from typing import Any

from services.routing.domain.agreement import Agreement, Partner, Rule

BEGIN = date(2030, 1, 1)
END = date(2031, 12, 31)


def a_partner(id_: str, **facts: Any) -> Partner:
    """A partner that answers within five working days."""
    return Partner(**{"id": id_, "name": id_, "response_days": 5, "places": ("office",), "needs": frozenset()} | facts)


def a_rule(id_: str, *takers: str, **facts: Any) -> Rule:
    """Debt, of everybody."""
    return Rule(**{"id": id_, "fields": ("debt",), "takers": takers, "basis": "assumption", "why": "a test"} | facts)


def an_agreement(*rules: Rule, **facts: Any) -> Agreement:
    """Two years from 2030 on, with the partners `awo`, `caritas` and `vhs`."""
    defaults = {
        "version": "2030-01-01",
        "valid_from": BEGIN,
        "valid_to": END,
        "basis": "assumption",
        "why": "a test",
        "partners": tuple(map(a_partner, ("awo", "caritas", "vhs"))),
        "rules": rules or (a_rule("any", "awo"),),
    }
    return Agreement(**defaults | facts)
