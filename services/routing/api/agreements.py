"""`/v1/agreements`: which division of tasks counts, and since when; activating a new one."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request, Response

from services.routing.agreement_store import (
    Activated,
    AgreementStore,
    NotActivatedError,
    Refusal,
    canonical,
)
from services.routing.api.views import View
from services.routing.domain.agreement import Agreement
from services.routing.domain.agreement_check import Finding, Severity
from shared.kafka_access import KafkaAccess
from shared.topics import missing_topics, partner_topics
from shared.web.bodies import json_body, read_json
from shared.web.problems import PROBLEM_RESPONSES, ProblemError
from shared.web.roles import Role, open_to

log = structlog.get_logger()

PATH: Final = "/v1/agreements"
AGREEMENT_BYTES: Final = 2 * 1024 * 1024
"""A thousand rules that name every criterion weigh 0.6 MB."""

_READ: Final = open_to(Role.SOCIAL_WORKER, Role.FRONT_DESK, Role.COORDINATOR, Role.OPERATOR)
_FINDINGS: Final = 50
"""As many as an answer shows."""
_STATUS: Final = {Refusal.NOT_SOUND: 422, Refusal.VERSION_TAKEN: 409, Refusal.DAYS_DECIDED: 409}


class FindingView(View):
    """One thing that was found in an agreement, and where."""

    severity: Severity
    where: str
    what: str


class AgreementView(View):
    """A version that was activated; `digest` is the SHA-256 of its canonical JSON."""

    version: str
    signed_on: date | None
    valid_from: date
    valid_to: date
    replaces: str | None
    digest: str
    activated_at: datetime


class AgreementList(View):
    """Every version."""

    agreements: list[AgreementView]


class WholeAgreementView(AgreementView):
    """A version with all it says."""

    agreement: dict[str, Any]


class ActivationView(AgreementView):
    """What came of an activation: whether the version was not active before, and what is worth a second look."""

    is_new: bool
    findings: list[FindingView]


def agreements_router(store: AgreementStore, access: KafkaAccess) -> APIRouter:
    """The agreements' routes."""
    router = APIRouter(
        prefix=PATH,
        tags=["agreements"],
        responses=PROBLEM_RESPONSES,
    )

    @router.get("", dependencies=[_READ])
    async def list_agreements() -> AgreementList:
        """Every version with its term, in the order of activation."""
        return AgreementList(agreements=[AgreementView(**_named(stored)) for stored in await store.stored()])

    @router.get("/{version}", dependencies=[_READ])
    async def show_agreement(version: str) -> WholeAgreementView:
        """One version with all it says."""
        stored = await store.get(version)
        if stored is None:
            raise ProblemError(404, "unknown-agreement", "No agreement of that version was activated.")
        return WholeAgreementView(**_named(stored), agreement=json.loads(canonical(stored.agreement)))

    @router.post(
        "",
        status_code=201,
        responses={200: {"model": ActivationView, "description": "The same one was active already"}},
        openapi_extra=json_body(Agreement),
        dependencies=[open_to(Role.COORDINATOR, Role.OPERATOR)],
    )
    async def activate_agreement(request: Request, response: Response) -> ActivationView:
        """Let an agreement count from its first day: 201, or 200 where the same one is active."""
        agreement = await read_json(request, Agreement)
        await _require_topics(access, agreement)
        try:
            activation = await store.activate(agreement, datetime.now(UTC))
        except NotActivatedError as error:
            raise _problem(error) from None
        if activation.is_new:
            log.info("agreement_activated", version=agreement.version, digest=activation.stored.digest)
        else:
            response.status_code = 200
        return ActivationView(
            **_named(activation.stored), is_new=activation.is_new, findings=_findings(activation.warnings)
        )

    return router


async def _require_topics(access: KafkaAccess, agreement: Agreement) -> None:
    """Without its topics a partner would be asked where nobody can hear it."""
    wanted = [topic for partner in agreement.partners for topic in partner_topics(partner.id)]
    try:
        missing = await missing_topics(access, wanted)
    except KafkaError:
        raise ProblemError(503, "unavailable", "Kafka does not answer; the topics cannot be looked up.") from None
    if missing:
        problem = ProblemError(409, "topics-missing", f"The partners' topics are missing: {', '.join(missing)}")
        problem.members["topics"] = missing
        raise problem


def _problem(error: NotActivatedError) -> ProblemError:
    problem = ProblemError(_STATUS[error.refusal], error.refusal.value, str(error))
    problem.members["findings"] = [finding.model_dump() for finding in _findings(error.findings)]
    return problem


def _named(stored: Activated) -> dict[str, Any]:
    term = stored.agreement.model_dump(include={"version", "signed_on", "valid_from", "valid_to", "replaces"})
    return {**term, "digest": stored.digest, "activated_at": stored.activated_at}


def _findings(findings: Sequence[Finding]) -> list[FindingView]:
    return [FindingView.model_validate(finding) for finding in findings[:_FINDINGS]]
