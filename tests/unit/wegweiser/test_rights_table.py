"""The table in docs/security.md is what the code gives."""

from pathlib import Path

import pytest

from shared.rights import OPERATOR, Kind, Operation, Right, allows, own_users, rights_of_partner
from shared.topics import SERVICES
from wegweiser.platform import rights_with

GUIDE = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
PARTNER, _ = own_users("awo")
RIGHTS = {**rights_with(["awo"]), PARTNER: list(rights_of_partner("awo"))}
COLUMNS = (
    (Kind.TOPIC, Operation.READ),
    (Kind.TOPIC, Operation.WRITE),
    (Kind.GROUP, Operation.READ),
    (Kind.GROUP, Operation.DESCRIBE),
)


def cell(principal: str, kind: Kind, operation: Operation) -> str:
    names = sorted(right.name for right in RIGHTS[principal] if (right.kind, right.operation) == (kind, operation))
    shown = (f"`{name}*`" if name.endswith(".") else "every one" if name == "*" else f"`{name}`" for name in names)
    return ", ".join(shown).replace("awo", "<id>") or "–"


@pytest.mark.parametrize("principal", [*SERVICES, PARTNER, OPERATOR])
def test_the_guide_s_table_is_what_the_code_gives(principal: str) -> None:
    of_partner = "`partner-<id>-1`, `partner-<id>-2`, `partner-<id>-gateway`"
    named = of_partner if principal == PARTNER else f"`{principal}`"
    assert "| " + " | ".join([named, *(cell(principal, *column) for column in COLUMNS)]) + " |\n" in GUIDE


def test_nobody_may_more_than_the_columns_of_the_table_show() -> None:
    assert {(right.kind, right.operation) for rights in RIGHTS.values() for right in rights} == set(COLUMNS)


def test_no_partner_s_rights_reach_one_whose_id_begins_like_its_own() -> None:
    rights = list(rights_of_partner("awo"))
    assert allows(rights, Kind.GROUP, "awo.sample", "read")
    for name in ("awo-kreis.sample", "awo", "awx.sample"):
        assert not allows(rights, Kind.GROUP, name, "read")
    assert not allows(rights, Kind.TOPIC, "partner.awo-kreis.referrals.v1", "read")


def test_every_own_topic_has_exactly_one_service_that_writes_it() -> None:
    writers: dict[str, list[str]] = {}
    for principal in SERVICES:
        for right in RIGHTS[principal]:
            if right == Right(Kind.TOPIC, right.name, Operation.WRITE):
                writers.setdefault(right.name, []).append(principal)
    assert {name: len(found) for name, found in writers.items() if len(found) != 1} == {}
    assert not any(name.endswith(".replies.v1") for name in writers)
