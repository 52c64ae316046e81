"""Every request belongs to a correlation and a trace, whatever it says of itself."""

import httpx
import pytest
import structlog
from fastapi import Depends, FastAPI
from signing import sign_in

from shared.envelope import TRACEPARENT, Cause, is_id
from shared.web.equipment import equip
from shared.web.tracing import cause_of

CORRELATION = "3f0c9f3e-6a43-4d8a-9d0a-0f6f3c1c2b1a"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def answer_to(headers: dict[str, str | bytes]) -> httpx.Response:
    app = FastAPI()
    equip(app, dict, sign_in())

    @app.get("/thread")
    async def show(cause: Cause = Depends(cause_of)) -> dict[str, object]:
        return {
            "cause": [cause.correlation_id, cause.traceparent],
            "log": structlog.contextvars.get_contextvars(),
        }

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get("/thread", headers=headers)


async def test_a_correlation_id_goes_through() -> None:
    response = await answer_to({"X-Correlation-ID": CORRELATION.upper()})

    assert response.headers["x-correlation-id"] == CORRELATION
    assert response.json()["cause"][0] == CORRELATION
    assert response.json()["log"]["correlation_id"] == CORRELATION


@pytest.mark.parametrize("given", ["Ozlem Isik", "", CORRELATION + "0", "ö" * 36])
async def test_a_correlation_id_that_is_no_uuid_is_replaced(given: str) -> None:
    response = await answer_to({"X-Correlation-ID": given.encode()})

    assert response.json()["cause"][0] == response.headers["x-correlation-id"]
    assert response.headers["x-correlation-id"] != given
    assert is_id(response.headers["x-correlation-id"])


async def test_a_trace_goes_on_in_a_span_of_ours() -> None:
    response = await answer_to({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    assert response.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert "00f067aa0ba902b7" not in response.headers["traceparent"]
    assert response.json()["cause"][1] == response.headers["traceparent"]


async def test_a_trace_that_is_none_is_replaced() -> None:
    response = await answer_to({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"})

    assert TRACEPARENT.match(response.headers["traceparent"])
