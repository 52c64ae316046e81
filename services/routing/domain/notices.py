"""When the office is warned that the agreement ends."""

from datetime import datetime, timedelta

from services.routing.domain.agreement import Agreements
from shared.contracts.routing import AgreementEnding
from shared.days import local_day


def notices_due(agreements: Agreements, now: datetime) -> list[AgreementEnding]:
    """The latest warning of each term that ends, or has ended, without another that follows it.

    A warning that was told before is the same again, and is told once.
    """
    today = local_day(now)
    due: list[AgreementEnding] = []
    for term in agreements:
        left = (term.valid_to - today).days + 1
        reached = [days for days in (*term.notice, 0) if left <= days]
        lasts = agreements.in_force(term.valid_to) is term
        if reached and lasts and agreements.in_force(term.valid_to + timedelta(days=1)) is None:
            due.append(AgreementEnding(agreement=term.version, valid_to=term.valid_to, days_left=min(reached)))
    return due
