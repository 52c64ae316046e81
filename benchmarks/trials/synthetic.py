"""An agreement of any size, and cases for it. There are only a dozen fields of work: beyond them codes are made up."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

from services.routing.domain.agreement import Agreement, Partner, Rule, Turn
from shared.contracts.base import new_id
from shared.contracts.codes import AgeBand, Concern, Municipality

TERM: Final = (date(2026, 1, 1), date(2027, 12, 31))
TOWNS: Final = tuple(Municipality)
_CODES: Final = tuple(Concern)
_AGES: Final = tuple(AgeBand)
_SPOKEN: Final = (("uk", "en"), ("ar",), ("de",), ("fa", "de"), ())


def an_agreement(partners: int, fields: int) -> Agreement:
    """Each field has a rule for the whole district and four for three towns each; half of those choose one of three
    takers by language and load."""
    chance = Random(partners)
    institutions = tuple(
        Partner(
            id=f"partner-{number}",
            name=f"Partner {number}",
            response_days=5,
            places=("house",),
            needs=frozenset(),
            languages=("de", "uk") if number % 3 else ("de", "ar"),
        )
        for number in range(partners)
    )
    rules: list[Rule] = []
    for field in range(fields):
        first, second, *rest = (partner.id for partner in chance.sample(institutions, 5))
        rules.append(_rule(f"rule-{field}", field, (first,)))
        for part in range(4):
            several = (field + part) % 2
            rules.append(
                _rule(
                    f"rule-{field}-{part}",
                    field,
                    tuple(rest) if several else (second,),
                    turn=(Turn.LANGUAGE, Turn.LOAD) if several else (),
                    towns=frozenset(TOWNS[3 * part : 3 * part + 3]),
                )
            )
    first_day, last_day = TERM
    return Agreement.model_construct(
        version="2026-01-01",
        valid_from=first_day,
        valid_to=last_day,
        basis="assumption",
        why="made for a benchmark",
        partners=institutions,
        rules=tuple(rules),
    )


def some_facts(chance: Random, fields: int) -> dict[str, Any]:
    """A case of the first half of the year as it is stored, with one to three concerns."""
    person = new_id()
    received = datetime(2026, 1, 1, 8, tzinfo=UTC) + timedelta(minutes=chance.randrange(180 * 24 * 60))
    return {
        "case_id": new_id(),
        "person_id": person,
        "received_at": received.isoformat(),
        "municipality": chance.choice(TOWNS).value,
        "languages": list(chance.choice(_SPOKEN)),
        "urgency": "normal",
        "legal_basis": {"kind": "consent", "partners": None, "concerns": None, "valid_until": None},
        "excluded_partners": [],
        "preferred_partners": [],
        "needs": [],
        "concerns": [
            {
                "concern_id": new_id(),
                "code": code_of(chance.randrange(fields)),
                "sub_topic": None,
                "person_id": person,
                "age_band": chance.choice(_AGES).value,
                "target_groups": [],
                "after": [],
            }
            for _ in range(chance.randint(1, 3))
        ],
    }


def code_of(field: int) -> str:
    """The code of a field of work."""
    return _CODES[field].value if field < len(_CODES) else f"field_{field}"


def _rule(id_: str, field: int, takers: tuple[str, ...], **criteria: Any) -> Rule:
    return Rule.model_construct(
        id=id_, fields=(code_of(field),), takers=takers, basis="assumption", why="made for a benchmark", **criteria
    )
