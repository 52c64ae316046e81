"""`/v1/agreements`: which division of tasks counts, and since when; activating a new one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request, Response

from services.routing.agreement_store import (
    Activated,
    Activation,
    AgreementStore,
    NotActivatedError,
    Refusal,
    canonical,
)
from services.routing.domain.agreement import Agreement
from services.routing.domain.agreement_check import Finding
from shared.envelope import rfc3339
from shared.topics import missing_topics, partner_topics
from shared.web.bodies import JSON, json_body, read_json
from shared.web.problems import PROBLEM_RESPONSES, ProblemError
from shared.web.roles import Role, open_to

log = structlog.get_logger()

_READ: Final = open_to(Role.SOCIAL_WORKER, Role.FRONT_DESK, Role.COORDINATOR, Role.OPERATOR)
_FINDINGS: Final = 50
"""As many as an answer shows."""
_STATUS: Final = {Refusal.NOT_SOUND: 422, Refusal.VERSION_TAKEN: 409, Refusal.DAYS_DECIDED: 409}


def agreements_router(store: AgreementStore, kafka_bootstrap: str) -> APIRouter:
    """The agreements' routes."""
    router = APIRouter(
        prefix="/v1/agreements",
        tags=["agreements"],
        responses=PROBLEM_RESPONSES,
    )

    @router.get("", dependencies=[_READ])
    async def list_agreements() -> Response:
        """Every version with its term, in the order of activation."""
        return _json({"agreements": [_named(stored) for stored in await store.stored()]})

    @router.get("/{version}", dependencies=[_READ])
    async def show_agreement(version: str) -> Response:
        """One version with all it says."""
        stored = await store.get(version)
        if stored is None:
            raise ProblemError(404, "unknown-agreement", "No agreement of that version was activated.")
        return _json(_named(stored) | {"agreement": json.loads(canonical(stored.agreement))})

    @router.post(
        "",
        status_code=201,
        openapi_extra=json_body(Agreement),
        dependencies=[open_to(Role.COORDINATOR, Role.OPERATOR)],
    )
    async def activate_agreement(request: Request) -> Response:
        """Let an agreement count from its first day: 201, or 200 where the same one is active."""
        agreement = await read_json(request, Agreement)
        await _require_topics(kafka_bootstrap, agreement)
        try:
            activation = await store.activate(agreement, datetime.now(UTC))
        except NotActivatedError as error:
            raise _problem(error) from None
        if activation.is_new:
            log.info("agreement_activated", version=agreement.version, digest=activation.stored.digest)
        return _answer(activation)

    return router


async def _require_topics(kafka_bootstrap: str, agreement: Agreement) -> None:
    """Without its topics a partner would be asked where nobody can hear it."""
    wanted = [topic for partner in agreement.partners for topic in partner_topics(partner.id)]
    try:
        missing = await missing_topics(kafka_bootstrap, wanted)
    except KafkaError:
        raise ProblemError(503, "unavailable", "Kafka does not answer; the topics cannot be looked up.") from None
    if missing:
        problem = ProblemError(409, "topics-missing", f"The partners' topics are missing: {', '.join(missing)}")
        problem.members["topics"] = missing
        raise problem


def _problem(error: NotActivatedError) -> ProblemError:
    problem = ProblemError(_STATUS[error.refusal], error.refusal.value, str(error))
    problem.members["findings"] = _findings(error.findings)
    return problem


def _answer(activation: Activation) -> Response:
    said = {"is_new": activation.is_new, "findings": _findings(activation.warnings)}
    return _json(_named(activation.stored) | said, 201 if activation.is_new else 200)


def _named(stored: Activated) -> dict[str, Any]:
    agreement = stored.agreement
    return {
        "version": agreement.version,
        "signed_on": agreement.signed_on,
        "valid_from": agreement.valid_from,
        "valid_to": agreement.valid_to,
        "replaces": agreement.replaces,
        "digest": stored.digest,
        "activated_at": rfc3339(stored.activated_at),
    }


def _findings(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [{"severity": f.severity, "where": f.where, "what": f.what} for f in findings[:_FINDINGS]]


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body, ensure_ascii=False, default=str).encode(), status, media_type=JSON)
