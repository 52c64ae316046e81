"""The request that the HTTP trials send."""

import json


def case_body(reference: str) -> bytes:
    """One person with one concern, referred under a reference of its own."""
    return json.dumps(
        {
            "source_reference": reference,
            "channel": "referral",
            "municipality": "Hattersheim am Main",
            "referrer": {"organisation": "Sozialer Dienst", "staff_id": "sw-039"},
            "persons": [
                {
                    "ref": "p1",
                    "relation": "self",
                    "given_name": "Olena",
                    "family_name": "Kovalenko",
                    "gender": "female",
                    "birth_date": "1985-08-06",
                    "birth_precision": "day",
                    "nationality": "UA",
                }
            ],
            "address": {"street": "Am Markt 1", "postcode": "65795", "town": "Hattersheim am Main"},
            "contact": {"phone": "0171 0000000", "email": "olena@example.org", "may_contact_by": ["email"]},
            "languages": {"first": "uk", "also": ["en"], "reads": "uk", "german_level": "A1"},
            "concerns": [{"code": "german_course", "for_person": "p1"}],
            "legal_basis": {"kind": "consent", "covers_partners": "all", "covers_concerns": "all"},
            "urgency": "normal",
        }
    ).encode()


def post(host: str, token: str, body: bytes) -> bytes:
    """The bytes of the request."""
    lines = (
        "POST /v1/cases HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body
