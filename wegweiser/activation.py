"""Telling routing which agreements count: what `wegweiser agreement activate` and every platform of ours do."""

from collections.abc import Iterable, Iterator

from deploy.errors import DeployError
from services.routing.domain.agreement import Agreement
from shared.web.client_credentials import Credentials
from wegweiser.doors import Door, RefusedError, door_of


class AgreementRefusedError(DeployError):
    """Routing does not take an agreement; the text says in a line each what stands against it."""

    def __init__(self, agreement: Agreement, error: RefusedError) -> None:
        found = [f"{each['severity']}: {each['where']}: {each['what']}" for each in error.members.get("findings", ())]
        wrong = [f"{each['pointer']} {each['detail']}".strip() for each in error.members.get("errors", ())]
        by = "routing:" if found else error
        super().__init__("\n  ".join((f"the agreement {agreement.version} is refused by {by}", *found, *wrong)))


def activate(door: Door, agreements: Iterable[Agreement]) -> Iterator[tuple[Agreement, bool]]:
    """Activate them in the order of their terms; each with whether it was not active before.

    Raises `NoAnswerError` or `AgreementRefusedError`.
    """
    for agreement in sorted(agreements, key=lambda agreement: agreement.valid_from):
        try:
            answer = door.post("/v1/agreements", agreement.model_dump(mode="json"))
        except RefusedError as error:
            raise AgreementRefusedError(agreement, error) from None
        yield agreement, answer["is_new"]


def activate_all(agreements: Iterable[Agreement], routing_url: str, credentials: Credentials) -> list[str]:
    """Activate them and return the versions that were not active; raises as `activate` does."""
    with door_of("routing", routing_url, credentials) as door:
        return [agreement.version for agreement, is_new in activate(door, agreements) if is_new]
