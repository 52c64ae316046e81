"""The enumerations that travel: codes instead of words, so that no payload holds free text.

Sources: the agreement's fields of work (press text of January 2017 and the practice reported since July 2017),
the district's twelve towns, ISO 639 for languages.
"""

from enum import StrEnum


class Concern(StrEnum):
    """What somebody needs (Anliegen)."""

    GERMAN_COURSE = "german_course"
    INTEGRATION_COURSE = "integration_course"
    SCHOOL_EDUCATION = "school_education"
    VOCATIONAL_TRAINING = "vocational_training"
    JOB_SEARCH = "job_search"
    CHILDCARE = "childcare"
    HOUSING_SEARCH = "housing_search"
    DEBT = "debt"
    MONEY_MANAGEMENT = "money_management"
    APPLICATION_HELP = "application_help"
    GENERAL = "general"
    SELF_HELP = "self_help"


class SubTopic(StrEnum):
    """What a general concern is about, or a question that an information sheet answers."""

    AUTHORITIES = "authorities"
    FAMILY = "family"
    HEALTH = "health"
    LEISURE = "leisure"
    RELIGION_FREE_TIME = "religion_free_time"
    RESIDENCE_DOCUMENTS = "residence_documents"
    OTHER = "other"


class Municipality(StrEnum):
    """The twelve towns of the Main-Taunus-Kreis."""

    BAD_SODEN = "Bad Soden am Taunus"
    EPPSTEIN = "Eppstein"
    ESCHBORN = "Eschborn"
    FLOERSHEIM = "Flörsheim am Main"
    HATTERSHEIM = "Hattersheim am Main"
    HOCHHEIM = "Hochheim am Main"
    HOFHEIM = "Hofheim am Taunus"
    KELKHEIM = "Kelkheim (Taunus)"
    KRIFTEL = "Kriftel"
    LIEDERBACH = "Liederbach am Taunus"
    SCHWALBACH = "Schwalbach am Taunus"
    SULZBACH = "Sulzbach (Taunus)"


class AgeBand(StrEnum):
    """Age in completed years on the day the case was received; a birth date never travels."""

    INFANT = "0-5"
    CHILD = "6-11"
    TEENAGER = "12-17"
    YOUNG_ADULT = "18-26"
    ADULT = "27-64"
    SENIOR = "65+"
    UNKNOWN = "unknown"


class TargetGroup(StrEnum):
    """A group that a counselling service may be made for; said by the sender, never derived from anything."""

    NEWCOMER = "newcomer"
    EU_CITIZEN = "eu_citizen"
    RESETTLER = "resettler"
    REFUGEE = "refugee"
    SINGLE_PARENT = "single_parent"
    UNACCOMPANIED_MINOR = "unaccompanied_minor"


class Urgency(StrEnum):
    NORMAL = "normal"
    SOON = "soon"
    URGENT = "urgent"


class Need(StrEnum):
    """What a booking has to respect."""

    FEMALE_COUNSELLOR = "female_counsellor"
    INTERPRETER_ON_SITE = "interpreter_on_site"
    INTERPRETER_BY_PHONE = "interpreter_by_phone"
    NO_INTERPRETER_FROM_OWN_COMMUNITY = "no_interpreter_from_own_community"
    STEP_FREE_ACCESS = "step_free_access"
    CONTACT_BY_EMAIL_ONLY = "contact_by_email_only"


class LegalBasisKind(StrEnum):
    """On what ground the case may be passed on (Art. 6 GDPR, section 67a SGB X)."""

    CONSENT = "consent"
    PUBLIC_TASK = "public_task"
    NONE = "none"


class ReferralState(StrEnum):
    """Where a referral stands (DESIGN section 6).

    `held` waits for other concerns of the case and ends as `released`; `informed` was answered by a sheet at once.
    """

    HELD = "held"
    RELEASED = "released"
    INFORMED = "informed"
    CLEARING = "clearing"
    CLOSED = "closed"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WAITING = "waiting"
    SCHEDULED = "scheduled"
    IN_SERVICE = "in_service"
    ON_HOLD = "on_hold"
    HANDED_ON = "handed_on"
    COMPLETED = "completed"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"


class CaseState(StrEnum):
    """How far the concerns of a case are: none, some or all of them have come to an end."""

    OPEN = "open"
    PARTLY_SETTLED = "partly_settled"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"


class Actor(StrEnum):
    """Who moved a referral. `clock` is a deadline, `agreement` a decision of the rules."""

    AGREEMENT = "agreement"
    PARTNER = "partner"
    OFFICE = "office"
    PERSON = "person"
    SENDER = "sender"
    CLOCK = "clock"
    SCHEDULING = "scheduling"


class DeclineReason(StrEnum):
    CAPACITY = "capacity"
    NOT_ELIGIBLE = "not_eligible"
    OUT_OF_AREA = "out_of_area"
    OUT_OF_AGREEMENT = "out_of_agreement"
    LANGUAGE = "language"
    DOCUMENTS_MISSING = "documents_missing"
    OTHER = "other"


class ClarificationTopic(StrEnum):
    """What a partner asks back; the answer itself is given by word of mouth, it may hold anything."""

    DOCUMENTS = "documents"
    ELIGIBILITY = "eligibility"
    LANGUAGE = "language"
    CONTACT = "contact"
    AVAILABILITY = "availability"
    OTHER = "other"


class PauseReason(StrEnum):
    WAITING_FOR_AUTHORITY = "waiting_for_authority"
    WAITING_FOR_COURSE = "waiting_for_course"
    CLIENT_AWAY = "client_away"
    ILLNESS = "illness"
    OTHER = "other"


class HandOnReason(StrEnum):
    OUT_OF_AGREEMENT = "out_of_agreement"
    CHANGED_NEED = "changed_need"
    LANGUAGE = "language"
    MOVED = "moved"
    CAPACITY = "capacity"
    OTHER = "other"


class ServiceOutcome(StrEnum):
    HELPED = "helped"
    PARTLY_HELPED = "partly_helped"
    NOT_HELPED = "not_helped"
    STOPPED_BY_CLIENT = "stopped_by_client"


class FailureReason(StrEnum):
    UNREACHABLE = "unreachable"
    DID_NOT_COME = "did_not_come"
    MOVED_AWAY = "moved_away"
    OTHER = "other"


class UnscheduledReason(StrEnum):
    CANCELLED = "cancelled"
    MISSED = "missed"


class AssignmentReason(StrEnum):
    """Why the office asks a partner that no rule named."""

    AGREED_BY_PHONE = "agreed_by_phone"
    AGE_CLARIFIED = "age_clarified"
    NEED_CLARIFIED = "need_clarified"
    LANGUAGE = "language"
    CAPACITY_FOUND = "capacity_found"
    OTHER = "other"


class ClosingReason(StrEnum):
    """Why the office ends a task without a partner."""

    DONE_BY_OFFICE = "done_by_office"
    NO_OFFER = "no_offer"
    NOT_WANTED = "not_wanted"
    UNREACHABLE = "unreachable"
    NOT_COMPETENT = "not_competent"
    OTHER = "other"


class CapacityStatus(StrEnum):
    AVAILABLE = "available"
    LIMITED = "limited"
    WAITING_LIST = "waiting_list"
    NONE = "none"


class UnplacedReason(StrEnum):
    """Why nobody could be asked."""

    OFFICE_TASK = "office_task"
    NO_RULE = "no_rule"
    NO_AGREEMENT = "no_agreement"
    NO_LEGAL_BASIS = "no_legal_basis"
    EXCLUDED_BY_WISH = "excluded_by_wish"
    ALL_ASKED = "all_asked"
    NO_CAPACITY = "no_capacity"


class RejectionReason(StrEnum):
    """What was wrong with a partner's reply. Unknown and foreign referrals get the same answer.

    `too_late` answers a reopening, `too_often` a question after as many as the agreement lets a partner ask.
    `target_not_possible` answers a hand-on and says no more: what a person wished or whom the office asked is not for
    the partner to know. `from_the_future` is a time or a date too far ahead.
    """

    UNREADABLE = "unreadable"
    INVALID = "invalid"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_REFERRAL = "unknown_referral"
    WRONG_STATE = "wrong_state"
    TOO_LATE = "too_late"
    TOO_OFTEN = "too_often"
    FROM_THE_FUTURE = "from_the_future"
    NOT_IN_AGREEMENT = "not_in_agreement"
    TARGET_NOT_POSSIBLE = "target_not_possible"
    IN_THE_PAST = "in_the_past"


class WithdrawalReason(StrEnum):
    BY_PERSON = "by_person"
    BY_SENDER = "by_sender"


class CancellationReason(StrEnum):
    WITHDRAWN = "withdrawn"


class AppointmentMode(StrEnum):
    ON_SITE = "on_site"
    BY_PHONE = "by_phone"
    BY_VIDEO = "by_video"


class MessageOutcome(StrEnum):
    """What became of a message; `unknown` is never sent again by itself."""

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NO_CHANNEL = "no_channel"


class Channel(StrEnum):
    EMAIL = "email"


class SetAsideReason(StrEnum):
    """Why a record could not be processed."""

    UNREADABLE_BATCH = "unreadable_batch"
    BAD_HEADERS = "bad_headers"
    NO_KEY = "no_key"
    EMPTY = "empty"
    NOT_JSON = "not_json"
    BREAKS_SCHEMA = "breaks_schema"
    HANDLER_FAILED = "handler_failed"
    REFUSED_BY_STORE = "refused_by_store"
    PARKED = "parked"
