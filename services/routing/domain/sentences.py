"""Why a referral is where it is and how it stands: one German sentence for the social worker, made of codes alone."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from services.routing.domain.agreement import BY_HAND, Agreement
from services.routing.domain.case import Referral, RoutedCase
from shared.contracts.base import PartnerId, RuleId
from shared.contracts.codes import (
    Actor,
    AgeBand,
    AssignmentReason,
    ClarificationTopic,
    ClosingReason,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    PauseReason,
    ReferralState,
    ServiceOutcome,
    SubTopic,
    UnplacedReason,
)
from shared.contracts.intake import ConcernFacts
from shared.days import LOCAL

FIELDS: Final[Mapping[Concern, tuple[str, str]]] = {
    Concern.GERMAN_COURSE: ("den", "Deutschkurs"),
    Concern.INTEGRATION_COURSE: ("den", "Integrationskurs"),
    Concern.SCHOOL_EDUCATION: ("die", "Schulbildung"),
    Concern.VOCATIONAL_TRAINING: ("die", "Berufsausbildung"),
    Concern.JOB_SEARCH: ("die", "Arbeitssuche"),
    Concern.CHILDCARE: ("die", "Kinderbetreuung"),
    Concern.HOUSING_SEARCH: ("die", "Wohnungssuche"),
    Concern.DEBT: ("die", "Schuldnerberatung"),
    Concern.MONEY_MANAGEMENT: ("die", "Beratung zum Umgang mit Geld"),
    Concern.APPLICATION_HELP: ("die", "Hilfe bei Anträgen"),
    Concern.GENERAL: ("die", "allgemeine Beratung"),
    Concern.SELF_HELP: ("die", "Hilfe zur Selbsthilfe"),
}
"""What somebody needs, with its article in the accusative."""

SUB_TOPICS: Final[Mapping[SubTopic, str]] = {
    SubTopic.AUTHORITIES: "Behörden",
    SubTopic.FAMILY: "Familie",
    SubTopic.HEALTH: "Gesundheit",
    SubTopic.LEISURE: "Freizeit",
    SubTopic.RELIGION_FREE_TIME: "Religion und Freizeit",
    SubTopic.RESIDENCE_DOCUMENTS: "Aufenthaltspapiere",
    SubTopic.OTHER: "Sonstiges",
}

AGES: Final[Mapping[AgeBand, str]] = {
    AgeBand.INFANT: "0 bis 5 Jahre",
    AgeBand.CHILD: "6 bis 11 Jahre",
    AgeBand.TEENAGER: "12 bis 17 Jahre",
    AgeBand.YOUNG_ADULT: "18 bis 26 Jahre",
    AgeBand.ADULT: "27 bis 64 Jahre",
    AgeBand.SENIOR: "ab 65 Jahren",
    AgeBand.UNKNOWN: "Alter unbekannt",
}

UNPLACED: Final[Mapping[UnplacedReason, str]] = {
    UnplacedReason.OFFICE_TASK: "ist nach der Vereinbarung vom {term} das Integrationsbüro selbst zuständig{rules}",
    UnplacedReason.NO_RULE: (
        "konnte niemand angefragt werden, weil die Vereinbarung vom {term} dafür niemanden vorsieht ({town}, {ages})"
    ),
    UnplacedReason.NO_AGREEMENT: "konnte niemand angefragt werden, weil am {received} keine Vereinbarung galt",
    UnplacedReason.NO_LEGAL_BASIS: (
        "konnte niemand angefragt werden, weil die Rechtsgrundlage keine Weitergabe an die Partner erlaubt, die noch "
        "in Frage kämen"
    ),
    UnplacedReason.EXCLUDED_BY_WISH: (
        "konnte niemand angefragt werden, weil die Person nicht an die Partner vermittelt werden möchte, die noch in "
        "Frage kämen"
    ),
    UnplacedReason.ALL_ASKED: (
        "konnte niemand mehr angefragt werden, weil alle zuständigen Partner schon gefragt wurden"
    ),
    UnplacedReason.NO_CAPACITY: (
        "konnte niemand angefragt werden, weil kein Partner, der noch in Frage käme, einen Platz frei hat"
    ),
}
"""Why nobody was asked, after „Für …"."""

STATES: Final[Mapping[ReferralState, str]] = {
    ReferralState.HELD: "die Anfrage wartet so lange",
    ReferralState.RELEASED: "das Warten auf andere Anliegen ist beendet",
    ReferralState.INFORMED: "es muss niemand angefragt werden",
    ReferralState.CLEARING: "die Anfrage liegt beim Integrationsbüro",
    ReferralState.CLOSED: "das Integrationsbüro hat die Anfrage geschlossen",
    ReferralState.OFFERED: "er hat bis zum {last} Zeit zu antworten",
    ReferralState.ACCEPTED: "er hat zugesagt",
    ReferralState.DECLINED: "er hat abgelehnt",
    ReferralState.EXPIRED: "er hat nicht rechtzeitig geantwortet",
    ReferralState.WAITING: "er hat zurückgefragt und wartet bis zum {last} auf eine Antwort",
    ReferralState.SCHEDULED: "der Termin ist am {starts_at} Uhr",
    ReferralState.IN_SERVICE: "die Beratung läuft",
    ReferralState.ON_HOLD: "die Beratung ruht bis zum {last}",
    ReferralState.HANDED_ON: "er hat die Anfrage weitergegeben",
    ReferralState.COMPLETED: "die Beratung ist abgeschlossen",
    ReferralState.FAILED: "die Beratung kam nicht zu ihrem Ende",
    ReferralState.WITHDRAWN: "die Person hat die Anfrage zurückgenommen",
    ReferralState.CANCELLED: "die Anfrage wurde zurückgenommen",
}
"""How a referral stands; „er“ is its partner."""

OVERDUE: Final = "er hat nicht rechtzeitig geantwortet und noch eine Nachfrist bis zum {last}"

_DECLINED: Final[Mapping[str, str]] = {
    DeclineReason.CAPACITY: "kein freier Platz",
    DeclineReason.NOT_ELIGIBLE: "Voraussetzungen nicht erfüllt",
    DeclineReason.OUT_OF_AREA: "nicht für diesen Ort zuständig",
    DeclineReason.OUT_OF_AGREEMENT: "nicht Teil der Vereinbarung",
    DeclineReason.LANGUAGE: "Sprache fehlt",
    DeclineReason.DOCUMENTS_MISSING: "Unterlagen fehlen",
    DeclineReason.OTHER: "anderer Grund",
}
_ASKED_BACK: Final[Mapping[str, str]] = {
    ClarificationTopic.DOCUMENTS: "Unterlagen",
    ClarificationTopic.ELIGIBILITY: "Voraussetzungen",
    ClarificationTopic.LANGUAGE: "Sprache",
    ClarificationTopic.CONTACT: "Erreichbarkeit",
    ClarificationTopic.AVAILABILITY: "mögliche Zeiten",
    ClarificationTopic.OTHER: "andere Frage",
}
_PAUSED: Final[Mapping[str, str]] = {
    PauseReason.WAITING_FOR_AUTHORITY: "eine Behörde muss entscheiden",
    PauseReason.WAITING_FOR_COURSE: "der Kurs hat noch nicht begonnen",
    PauseReason.CLIENT_AWAY: "die Person ist abwesend",
    PauseReason.ILLNESS: "Krankheit",
    PauseReason.OTHER: "anderer Grund",
}
HANDED_ON: Final[Mapping[str, str]] = {
    HandOnReason.OUT_OF_AGREEMENT: "nicht Teil der Vereinbarung",
    HandOnReason.CHANGED_NEED: "anderer Bedarf",
    HandOnReason.LANGUAGE: "Sprache fehlt",
    HandOnReason.MOVED: "Umzug",
    HandOnReason.CAPACITY: "kein freier Platz",
    HandOnReason.OTHER: "anderer Grund",
}
_OUTCOMES: Final[Mapping[str, str]] = {
    ServiceOutcome.HELPED: "geholfen",
    ServiceOutcome.PARTLY_HELPED: "teilweise geholfen",
    ServiceOutcome.NOT_HELPED: "nicht geholfen",
    ServiceOutcome.STOPPED_BY_CLIENT: "von der Person beendet",
}
_FAILED: Final[Mapping[str, str]] = {
    FailureReason.UNREACHABLE: "die Person war nicht zu erreichen",
    FailureReason.DID_NOT_COME: "die Person kam nicht",
    FailureReason.MOVED_AWAY: "die Person ist weggezogen",
    FailureReason.OTHER: "anderer Grund",
}
_CLOSED: Final[Mapping[str, str]] = {
    ClosingReason.DONE_BY_OFFICE: "selbst erledigt",
    ClosingReason.NO_OFFER: "es gibt kein Angebot",
    ClosingReason.NOT_WANTED: "nicht mehr gewünscht",
    ClosingReason.UNREACHABLE: "die Person war nicht zu erreichen",
    ClosingReason.NOT_COMPETENT: "das Büro ist nicht zuständig",
    ClosingReason.OTHER: "anderer Grund",
}
ASSIGNED: Final[Mapping[str, str]] = {
    AssignmentReason.AGREED_BY_PHONE: "telefonisch vereinbart",
    AssignmentReason.AGE_CLARIFIED: "das Alter wurde geklärt",
    AssignmentReason.NEED_CLARIFIED: "der Bedarf wurde geklärt",
    AssignmentReason.LANGUAGE: "wegen der Sprache",
    AssignmentReason.CAPACITY_FOUND: "ein Platz hat sich gefunden",
    AssignmentReason.OTHER: "anderer Grund",
}
REASONS: Final[Mapping[ReferralState, Mapping[str, str]]] = {
    ReferralState.DECLINED: _DECLINED,
    ReferralState.WAITING: _ASKED_BACK,
    ReferralState.ON_HOLD: _PAUSED,
    ReferralState.HANDED_ON: HANDED_ON,
    ReferralState.COMPLETED: _OUTCOMES,
    ReferralState.FAILED: _FAILED,
    ReferralState.CLOSED: _CLOSED,
}
"""The words of a reason, by the state it led to; elsewhere a state says enough."""

_MONTHS: Final = (
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
)


def sentence(
    case: RoutedCase,
    referral: Referral,
    agreement: Agreement | None,
    by: Actor = Actor.AGREEMENT,
    reason: str | None = None,
) -> str:
    """Why the referral is where it is and how it stands. `by` and `reason` say who chose its partner and why, which the
    referral itself does not remember; `agreement` is the one of the case's day."""
    needs = _listed(map(_need, case.concerns_of(referral))) or "ein gestrichenes Anliegen"
    placed = _placed(case, referral, agreement, by, reason)
    return f"Für {needs} {placed}; {_standing(referral)}."


def _placed(case: RoutedCase, referral: Referral, agreement: Agreement | None, by: Actor, reason: str | None) -> str:
    rules = _rules(referral.rules)
    term = _day(agreement.signed_on or agreement.valid_from) if agreement else ""
    if referral.partner_id is not None:
        name = _name(referral.partner_id, agreement)
        if by is Actor.OFFICE:
            return f"hat das Integrationsbüro den Partner {name} angefragt{_in_brackets(ASSIGNED, reason)}"
        if by is Actor.PARTNER:
            former = case.referral(referral.follows) if referral.follows else None
            other = _name(former.partner_id, agreement) if former and former.partner_id else ""
            return f"hat der Partner {other} den Partner {name} vorgeschlagen{_in_brackets(HANDED_ON, reason)}"
        return f"ist nach der Vereinbarung vom {term} der Partner {name} zuständig{rules}"
    if referral.unplaced is not None:
        return UNPLACED[referral.unplaced].format(
            term=term,
            rules=rules,
            town=case.facts.municipality,
            ages=_listed(AGES[concern.age_band] for concern in case.concerns_of(referral)),
            received=_day(case.day),
        )
    if referral.sheet is not None:
        return f"gibt es das Informationsblatt „{referral.sheet}“{rules}"
    awaited = {id_ for concern in case.concerns_of(referral) for id_ in case.awaited(concern)}
    names = list(dict.fromkeys(FIELDS[other.code][1] for other in case.facts.concerns if other.concern_id in awaited))
    if not names:
        return "wird erst dann jemand angefragt, wenn andere Anliegen erledigt sind"
    done = f"das Anliegen {names[0]} erledigt ist" if len(names) == 1 else f"{_listed(names)} erledigt sind"
    return f"wird erst dann jemand angefragt, wenn {done}"


def _standing(referral: Referral) -> str:
    words = OVERDUE if referral.state is ReferralState.OFFERED and referral.is_overdue else STATES[referral.state]
    starts_at = referral.booking.starts_at.astimezone(LOCAL) if referral.booking else None
    said = words.format(
        last=_day(referral.clock.last) if referral.clock else "",
        starts_at=f"{_day(starts_at.date())} um {starts_at:%H:%M}" if starts_at else "",
    )
    return said + _in_brackets(REASONS.get(referral.state, {}), referral.reason)


def _need(concern: ConcernFacts) -> str:
    article, field = FIELDS[concern.code]
    topic = f" (Thema {SUB_TOPICS[concern.sub_topic]})" if concern.sub_topic else ""
    return f"{article} {field}{topic}"


def _rules(rules: Iterable[RuleId]) -> str:
    named = [f"„{rule}“" for rule in rules if rule != BY_HAND]
    if not named:
        return ""
    return f" ({'Regel' if len(named) == 1 else 'Regeln'} {_listed(named)})"


def _in_brackets(words: Mapping[str, str], code: str | None) -> str:
    """Nothing where a clock or a newer version gave no reason that is known here."""
    return f" ({words[code]})" if code is not None and code in words else ""


def _name(partner_id: PartnerId, agreement: Agreement | None) -> str:
    partner = agreement.partners_by_id.get(partner_id) if agreement else None
    return partner.name if partner else partner_id


def _day(day: date) -> str:
    return f"{day.day}. {_MONTHS[day.month - 1]} {day.year}"


def _listed(words: Iterable[str]) -> str:
    """Each once, „a, b und c“."""
    each = list(dict.fromkeys(words))
    return " und ".join([", ".join(each[:-1]), each[-1]] if len(each) > 1 else each)
