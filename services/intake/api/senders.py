"""Whose a case is: a social worker sends in their own name, and sees and changes what they sent, nothing else."""

from services.intake.domain.cases import IntakeCase
from services.intake.domain.requests import NewCase, Referrer
from shared.pipeline.decisions import Decide
from shared.web.faults import Fault, as_members, pointer
from shared.web.problems import ProblemError
from shared.web.roles import Caller, Role


def own_name(caller: Caller) -> Referrer | None:
    """As whom the caller sends cases; None for who may send them for others."""
    if caller.roles != {Role.SOCIAL_WORKER}:
        return None
    assert caller.organisation is not None, "the sign-in asks for it"
    return Referrer(organisation=caller.organisation, staff_id=caller.subject)


def may_see(caller: Caller, case: IntakeCase) -> bool:
    """Whether the caller may know that there is this case."""
    own = own_name(caller)
    return own is None or case.referrer == own


def seen_by(caller: Caller, decide: Decide[IntakeCase]) -> Decide[IntakeCase]:
    """The decision, to which a case that the caller may not see is an unknown one."""
    return lambda known, now: decide(known if known is not None and may_see(caller, known) else None, now)


def signed(said: NewCase, caller: Caller) -> NewCase:
    """The case with its sender; raises a problem where a social worker names somebody else."""
    own = own_name(caller)
    if own is None or said.referrer == own:
        return said
    if said.referrer is not None:
        fault = Fault(pointer("referrer"), "absent, or whoever signed in")
        raise ProblemError(403, "not-yours", "Cases are sent in one's own name.", errors=as_members([fault]))
    return said.model_copy(update={"referrer": own})
