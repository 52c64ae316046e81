"""A referral travels from the social worker to the partner, the calendar and the visitor's mailbox."""

import email
from email.policy import default
from typing import Any

from aiokafka.structs import ConsumerRecord

from e2e.bus import every_record
from e2e.cases import a_case
from e2e.platforms import Running
from e2e.waiting import eventually
from wegweiser.samples import send, still_unmet
from wegweiser.settings import SAMPLE_CASES, SAMPLE_EXPECTATIONS


async def opened(running: Running, case: dict[str, Any]) -> str:
    answer = await running.intake.post("/v1/cases", json=case)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["case_id"])


async def states_of(running: Running, case_id: str) -> dict[str, str]:
    case = (await running.intake.get(f"/v1/cases/{case_id}")).json()
    return {concern["code"]: concern["state"] for concern in case["concerns"]}


async def settled(running: Running, case_id: str, **states: str) -> None:
    async def reached() -> bool:
        return await states_of(running, case_id) == states

    await eventually(reached)


def mails_to(running: Running, address: str) -> list[email.message.EmailMessage]:
    mails = [email.message_from_bytes(file.read_bytes(), policy=default) for file in running.mails]
    return [mail for mail in mails if address in str(mail["To"])]


async def test_every_sample_case_reaches_an_end_its_expectation_allows(running: Running) -> None:
    await send(running.settings.url_of("intake"), running.staff, SAMPLE_CASES)

    assert await still_unmet(running.settings.url_of("intake"), running.staff, SAMPLE_EXPECTATIONS, patience=120) == []


async def test_visitor_is_written_once_in_the_language_they_read(running: Running) -> None:
    case = a_case()
    case_id = await opened(running, case)
    await settled(running, case_id, german_course="scheduled")

    async def written() -> list[email.message.EmailMessage]:
        return mails_to(running, case["contact"]["email"])

    [mail] = await eventually(written)
    assert "Olena Beispiel" in mail.get_content()
    assert "Вітаємо" in mail.get_content() or "Добр" in mail.get_content()


async def test_same_request_again_gets_the_same_answer_and_opens_no_second_case(running: Running) -> None:
    case = a_case(source_reference=None)
    headers = {"Idempotency-Key": case["contact"]["email"]}

    first = await running.intake.post("/v1/cases", json=case, headers=headers)
    again = await running.intake.post("/v1/cases", json=case, headers=headers)
    other = await running.intake.post("/v1/cases", json={**case, "urgency": "urgent"}, headers=headers)

    assert (first.status_code, again.json()) == (201, first.json())
    assert other.status_code == 422


async def test_concerns_go_to_the_partners_the_agreement_names_and_the_rest_to_the_office(running: Running) -> None:
    case = a_case(
        concerns=[
            {"code": "german_course", "for_person": "p1"},
            {"code": "debt", "for_person": "p1"},
            {"code": "housing_search", "for_person": "p1"},
            {"code": "application_help", "for_person": "p1"},
        ],
        wishes=["not_denominational"],
    )
    case_id = await opened(running, case)

    await settled(
        running,
        case_id,
        german_course="scheduled",
        debt="scheduled",
        housing_search="scheduled",
        application_help="clearing",
    )
    concerns = (await running.intake.get(f"/v1/cases/{case_id}")).json()["concerns"]
    assert {concern["code"]: concern["partner_id"] for concern in concerns} == {
        "german_course": "vhs",
        "debt": "schuldnerberatung",
        "housing_search": "awo",
        "application_help": None,
    }


async def test_withdrawn_case_is_taken_back_everywhere(running: Running) -> None:
    case_id = await opened(running, a_case())
    await settled(running, case_id, german_course="scheduled")

    answer = await running.intake.post(f"/v1/cases/{case_id}/withdraw", json={"reason": "by_person"})

    assert answer.status_code == 200, answer.text
    await settled(running, case_id, german_course="withdrawn")


async def test_added_concern_is_routed_and_what_stands_stays(running: Running) -> None:
    case_id = await opened(running, a_case())
    await settled(running, case_id, german_course="scheduled")

    added = {"concerns": [{"code": "debt", "for_person": "p1"}]}
    answer = await running.intake.post(f"/v1/cases/{case_id}/amend", json=added)

    assert answer.status_code == 200, answer.text
    await settled(running, case_id, german_course="scheduled", debt="scheduled")


async def test_threads_of_the_request_run_through_every_event_of_the_case(running: Running) -> None:
    correlation_id, trace = "3f0e8c1e-8d0a-4d0a-9a58-0f6c1c9a1b11", "4bf92f3577b34da6a3ce929d0e0e4736"
    threads = {"X-Correlation-ID": correlation_id, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = await running.intake.post("/v1/cases", json=a_case(), headers=threads)
    case_id = answer.json()["case_id"]
    await settled(running, case_id, german_course="scheduled")

    async def messages_told() -> list[ConsumerRecord]:
        records = [record for record in await every_record(running.kafka) if case_id in (record.value or b"").decode()]
        return records if any(record.topic == "notify.messages.v1" for record in records) else []

    records = await eventually(messages_told)
    seen = [dict(record.headers) for record in records]
    assert {headers["ce_correlationid"].decode() for headers in seen} == {correlation_id}
    assert {headers["ce_traceparent"].decode()[3:35] for headers in seen} == {trace}
    assert len({headers["ce_traceparent"] for headers in seen}) == len({headers["ce_id"] for headers in seen})
