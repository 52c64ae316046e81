"""What cannot be right is refused by its field, and nothing of it is kept."""

import json
from typing import Any

import pytest
from running_intake import Intake
from sample_bodies import a_body, a_concern, a_person

SECRET = "KANARI-000-Quellmoos"


def raw(**said: Any) -> bytes:
    return json.dumps(a_body(**said), ensure_ascii=False).encode()


BAD: dict[str, tuple[bytes, int, str]] = {
    "malformed": (b'{"municipality": "' + SECRET.encode(), 400, ""),
    "empty": (b"", 400, ""),
    "invalid UTF-8": (raw().replace(b"Olena", b"\xff\xfe"), 400, ""),
    "2 MB": (raw(free_text="x" * 2_000_000), 413, ""),
    "no object": (b"[]", 422, ""),
    "unknown concern": (raw(concerns=[a_concern(SECRET)]), 422, "/concerns/0/code"),
    "unknown sub-topic": (raw(concerns=[a_concern("general", sub_topic=SECRET)]), 422, "/concerns/0/sub_topic"),
    "unknown town": (raw(municipality=SECRET), 422, "/municipality"),
    "unknown wish": (raw(wishes=[SECRET]), 422, "/wishes/0"),
    "unknown field": (raw(religion=SECRET), 422, "/religion"),
    "wrong type": (raw(persons=SECRET), 422, "/persons"),
    "number for a name": (raw(persons=[a_person(given_name=5)]), 422, "/persons/0/given_name"),
    "text for a number": (raw(persons=[a_person(birth_year="1990")]), 422, "/persons/0/birth_year"),
    "10^30": (raw(persons=[a_person(birth_year=10**30)]), 422, "/persons/0/birth_year"),
    "10^30 as a date": (raw(respond_by=10**30), 422, "/respond_by"),
    "not a number": (raw(persons=[a_person(birth_year=float("nan"))]), 422, "/persons/0/birth_year"),
    "future birth": (raw(persons=[a_person(birth_date="2999-01-01")]), 422, "/persons/0/birth_date"),
    "no such day": (raw(persons=[a_person(birth_date="1990-02-30")]), 422, "/persons/0/birth_date"),
    "future consent": (raw(legal_basis={"kind": "consent", "given_on": "2999-01-01"}), 422, "/legal_basis/given_on"),
    "covers nothing named": (
        raw(legal_basis={"kind": "consent", "covers_partners": None}),
        422,
        "/legal_basis/covers_partners",
    ),
    "covers nobody known": (
        raw(legal_basis={"kind": "consent", "covers_partners": ["awo", "olena-beispiel-geb-1990"]}),
        422,
        "/legal_basis/covers_partners/1",
    ),
    "received in the past": (raw(received_at="2017-02-01T10:00:00Z"), 422, "/received_at"),
    "received without a zone": (raw(received_at="2017-02-01T10:00:00", channel="import"), 422, "/received_at"),
    "duplicate concern": (raw(concerns=[a_concern(), a_concern(note="again")]), 422, "/concerns/1"),
    "concern of nobody": (raw(concerns=[a_concern(for_person="p9")]), 422, "/concerns/0/for_person"),
    "no concern": (raw(concerns=[]), 422, "/concerns"),
    "ref of two": (raw(concerns=[a_concern(ref="a"), a_concern("debt", ref="a")]), 422, "/concerns/1/ref"),
    "waits for nobody": (raw(concerns=[a_concern(after=["a"])]), 422, "/concerns/0/after/0"),
    "waits for itself": (raw(concerns=[a_concern(ref="a", after=["a"])]), 422, "/concerns/0/after/0"),
    "waits for a name": (raw(concerns=[a_concern(after=["Quellmoos, geb. 1990"])]), 422, "/concerns/0/after/0"),
    "wait for each other": (
        raw(concerns=[a_concern(ref="a", after=["b"]), a_concern("debt", ref="b", after=["a"])]),
        422,
        "/concerns/0/after",
    ),
    "unknown target group": (raw(persons=[a_person(target_groups=[SECRET])]), 422, "/persons/0/target_groups/0"),
    "target group twice": (
        raw(persons=[a_person(target_groups=["refugee", "refugee"])]),
        422,
        "/persons/0/target_groups",
    ),
    "prefers nobody known": (raw(preferred_partners=["olena-beispiel"]), 422, "/preferred_partners/0"),
    "excludes nobody known": (raw(excluded_partners=["olena-beispiel"]), 422, "/excluded_partners/0"),
    "preferred and excluded": (
        raw(preferred_partners=["awo"], excluded_partners=["awo"]),
        422,
        "/preferred_partners/0",
    ),
    "nobody": (raw(persons=[]), 422, "/persons"),
    "two main persons": (raw(persons=[a_person(), a_person("p2")]), 422, "/persons"),
    "line break in a name": (raw(persons=[a_person(given_name="Olena\nBcc: x")]), 422, "/persons/0/given_name"),
    "null byte": (raw(persons=[a_person(given_name="Olena\x00")]), 422, "/persons/0/given_name"),
    "half a character": (raw().replace(b"Olena", b"\\ud800"), 400, ""),
    "address that is none": (raw(contact={"email": "olena@x.de, y@x.de"}), 422, "/contact/email"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_named_and_not_kept(intake: Intake, name: str) -> None:
    body, status, pointer = BAD[name]
    before = await intake.stored()

    response = await intake.http.post("/v1/cases", content=body, headers={"Idempotency-Key": f"bad-{len(name)}"})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["pointer"] == pointer
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    assert await intake.stored() == before
