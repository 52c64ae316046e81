"""Open, amend, withdraw, add a note, note progress: pure, with the time as an argument."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.intake.domain.ages import age_band
from services.intake.domain.cases import IntakeCase, Member, RecordedBasis, facts_of
from services.intake.domain.contradictions import both_ways, excluded_by_wish, unknown_persons
from services.intake.domain.persons import Record, main_person, notes_of, records_of
from services.intake.domain.requests import (
    MOST_CONCERNS,
    NOT_DENOMINATIONAL,
    Amendment,
    NewCase,
    NewNote,
    SaidConcern,
    SaidLegalBasis,
)
from services.intake.domain.waiting import faults_in_waiting, waiting
from shared.contracts.base import new_id
from shared.contracts.codes import Concern, Need, SubTopic, WithdrawalReason
from shared.contracts.intake import CaseAmended, CaseOpened, CaseWithdrawn, ConcernFacts
from shared.contracts.routing import CaseProgressed
from shared.days import local_day
from shared.pipeline.decisions import Decision
from shared.web.faults import Fault, as_members, pointer

UNKNOWN_CASE, WITHDRAWN_CASE, NOT_VALID = "unknown-case", "withdrawn-case", "not-valid"
"""Why a request about a case is refused."""

_Known = tuple[Concern, SubTopic | None, str]
"""What makes two concerns of a case the same: code, sub-topic and the ref of the person."""


def open_case(case: NewCase, case_id: str, now: datetime, denominational: Sequence[str]) -> Decision[IntakeCase]:
    """Take a case in. `case` has passed the asylum gate and holds no contradiction."""
    received_at = _milliseconds(case.received_at) if case.received_at is not None else now
    received_on = local_day(received_at)
    ids = {person.ref: new_id() for person in case.persons}
    concern_ids = [new_id() for _ in case.concerns]
    members = tuple(
        Member(
            person_id=ids[person.ref],
            ref=person.ref,
            age_band=age_band(person.birth_date, person.birth_year, person.birth_precision, received_on),
            target_groups=person.target_groups,
        )
        for person in case.persons
    )
    opened = IntakeCase(
        id=case_id,
        recorded_at=now,
        received_at=received_at,
        channel=case.channel,
        referrer=case.referrer,
        source_reference=case.source_reference,
        municipality=case.municipality,
        languages=case.languages.in_order,
        urgency=case.urgency,
        respond_by=case.respond_by,
        legal_basis=_recorded(case.legal_basis),
        excluded_partners=excluded_by_wish(case, denominational),
        also_excluded=case.excluded_partners,
        preferred_partners=case.preferred_partners,
        needs=tuple(Need(wish) for wish in dict.fromkeys(case.wishes) if wish != NOT_DENOMINATIONAL),
        person_id=ids[main_person(case.persons).ref],
        members=members,
        concerns=_coded(case.concerns, concern_ids, members, waiting(case.concerns, concern_ids)),
        new_records=records_of(case, case_id, ids, concern_ids),
    )
    event = CaseOpened(**facts_of(opened, local_day(now)))
    return Decision(state=opened, events=(event,), answer=_receipt(opened, case.concerns))


def amend_case(amendment: Amendment, known: IntakeCase | None, now: datetime) -> Decision[IntakeCase]:
    """Correct or add something. What changes nothing, a repetition for instance, is no event."""
    if known is None:
        return _refused(UNKNOWN_CASE)
    if known.withdrawn is not None:
        return _refused(WITHDRAWN_CASE)
    said = amendment.concerns or ()
    there = _concern_ids(known)
    concern_ids = [there.get(_as_known(concern)) or new_id() for concern in said]
    earlier = {concern.concern_id: concern.after for concern in known.concerns}
    amended = known.model_copy(
        update={
            "municipality": amendment.municipality or known.municipality,
            "languages": amendment.languages.in_order if amendment.languages else known.languages,
            "urgency": amendment.urgency or known.urgency,
            "legal_basis": _recorded(amendment.legal_basis) if amendment.legal_basis else known.legal_basis,
            "preferred_partners": _or(amendment.preferred_partners, known.preferred_partners),
            "also_excluded": _or(amendment.excluded_partners, known.also_excluded),
        }
    )
    faults = [
        *unknown_persons(said, (member.ref for member in known.members)),
        *faults_in_waiting(said, concern_ids, earlier),
        *both_ways("preferred_partners", amendment.preferred_partners or (), amended.all_excluded),
        *both_ways("excluded_partners", amendment.excluded_partners or (), amended.preferred_partners),
    ]
    if len(earlier.keys() | concern_ids) > MOST_CONCERNS:
        faults.append(Fault(pointer("concerns"), f"at most {MOST_CONCERNS} concerns in a case"))
    if faults:
        return _refused(NOT_VALID, faults)
    after = waiting(said, concern_ids, earlier)
    coded = _coded(said, concern_ids, known.members, after)
    kept = (c.model_copy(update={"after": after.get(c.concern_id, c.after)}) for c in known.concerns)
    added = (c for c in coded if c.concern_id not in earlier)
    amended = amended.model_copy(update={"concerns": (*kept, *added)})
    changes = _vault_changes(amendment, known, concern_ids)
    if changes:
        amended = amended.model_copy(update={"changed_records": known.changed_records + changes})
    today = local_day(now)
    facts = facts_of(amended, today)
    if facts != facts_of(known, today):
        return Decision(state=amended, events=(CaseAmended(**facts),))
    return Decision(state=amended) if amended != known else Decision()


def withdraw_case(reason: WithdrawalReason, known: IntakeCase | None, now: datetime) -> Decision[IntakeCase]:
    """Take a case back; doing so again changes nothing."""
    if known is None:
        return _refused(UNKNOWN_CASE)
    if known.withdrawn is not None:
        return Decision()
    state = known.model_copy(update={"withdrawn": reason, "withdrawn_at": now})
    return Decision(state=state, events=(CaseWithdrawn(case_id=known.id, reason=reason),))


def add_note(
    said: NewNote, note_id: str, staff_id: str, known: IntakeCase | None, now: datetime
) -> Decision[IntakeCase]:
    """Keep a note about a case, also of one that was withdrawn. Nobody else is told."""
    if known is None:
        return _refused(UNKNOWN_CASE)
    note = {"_id": note_id, "case_id": known.id, "written_at": now, "staff_id": staff_id, **said.model_dump()}
    state = known.model_copy(update={"new_notes": (*known.new_notes, note)})
    return Decision(state=state, answer={"note_id": note_id, "written_at": now})


def note_progress(progress: CaseProgressed, sequence: int, known: IntakeCase | None) -> Decision[IntakeCase]:
    """Keep where the referrals of a case stand, unless something newer is known already."""
    if known is None or sequence <= known.progressed:
        return Decision()
    update = {"progress": progress.state, "standings": progress.standings, "progressed": sequence}
    return Decision(state=known.model_copy(update=update))


def _refused(reason: str, faults: Sequence[Fault] = ()) -> Decision[IntakeCase]:
    return Decision(answer={"refused": reason, "errors": as_members(faults)})


def _receipt(case: IntakeCase, said: Sequence[SaidConcern]) -> Mapping[str, Any]:
    """What the sender is told, now and whenever the same request comes again."""
    refs = {member.person_id: member.ref for member in case.members}
    return {
        "case_id": case.id,
        "persons": [{"ref": member.ref, "person_id": member.person_id} for member in case.members],
        "concerns": [
            {
                "concern_id": concern.concern_id,
                "code": concern.code.value,
                "sub_topic": concern.sub_topic.value if concern.sub_topic else None,
                "for_person": refs[concern.person_id],
                **({"ref": as_said.ref} if as_said.ref is not None else {}),
            }
            for concern, as_said in zip(case.concerns, said, strict=True)
        ],
    }


def _coded(
    concerns: Sequence[SaidConcern],
    concern_ids: Sequence[str],
    members: Sequence[Member],
    after: Mapping[str, tuple[str, ...]],
) -> tuple[ConcernFacts, ...]:
    by_ref = {member.ref: member for member in members}
    return tuple(
        ConcernFacts(
            concern_id=concern_id,
            code=Concern(concern.code),
            sub_topic=concern.sub_topic,
            person_id=by_ref[concern.for_person].person_id,
            age_band=by_ref[concern.for_person].age_band,
            target_groups=by_ref[concern.for_person].target_groups,
            after=after.get(concern_id, ()),
        )
        for concern, concern_id in zip(concerns, concern_ids, strict=True)
    )


def _concern_ids(known: IntakeCase) -> dict[_Known, str]:
    refs = {member.person_id: member.ref for member in known.members}
    return {(c.code, c.sub_topic, refs[c.person_id]): c.concern_id for c in known.concerns}


def _as_known(concern: SaidConcern) -> _Known:
    return Concern(concern.code), concern.sub_topic, concern.for_person


def _recorded(basis: SaidLegalBasis) -> RecordedBasis:
    codes = basis.covers_concerns
    return RecordedBasis(
        kind=basis.kind,
        partners=basis.covers_partners,
        codes=None if codes is None else tuple(Concern(code) for code in codes),
        given_on=basis.given_on,
        expires_on=basis.expires_on,
        withdrawn_on=basis.withdrawn_on,
        text_version=basis.text_version,
        text_language=basis.text_language,
        form=basis.form,
        field_groups=basis.field_groups,
    )


def _vault_changes(amendment: Amendment, known: IntakeCase, concern_ids: list[str]) -> tuple[Record, ...]:
    """What is kept of the persons. A note to a concern that is known already takes the place of the earlier note."""
    changes: dict[str, Record] = {}
    main = changes.setdefault(known.person_id, {})
    if amendment.contact is not None:
        said = amendment.contact.model_dump(mode="json", exclude_unset=True)
        main.update({f"contact.{name}": value for name, value in said.items()})
    if amendment.languages is not None:
        main["languages"] = amendment.languages.model_dump(mode="json")
    ids = {member.ref: member.person_id for member in known.members}
    for ref, notes in notes_of(amendment.concerns or (), concern_ids).items():
        fields = {f"notes.concerns.{concern_id}": note for concern_id, note in notes.items()}
        changes.setdefault(ids[ref], {}).update(fields)
    return tuple({"_id": person_id, **fields} for person_id, fields in changes.items() if fields)


def _or(said: tuple[str, ...] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    return known if said is None else said


def _milliseconds(moment: datetime) -> datetime:
    """As MongoDB keeps it, so that the event and the stored case agree."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
