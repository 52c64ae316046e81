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


class SubTopic(StrEnum):
    """What a general concern is about."""

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
    """Where a referral stands; the thin flow's part of the life cycle."""

    OFFERED = "offered"
    CLEARING = "clearing"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    SCHEDULED = "scheduled"
    WITHDRAWN = "withdrawn"


class DeclineReason(StrEnum):
    CAPACITY = "capacity"
    NOT_ELIGIBLE = "not_eligible"
    OUT_OF_AREA = "out_of_area"
    OUT_OF_AGREEMENT = "out_of_agreement"
    LANGUAGE = "language"
    DOCUMENTS_MISSING = "documents_missing"
    OTHER = "other"


class UnplacedReason(StrEnum):
    """Why nobody could be asked."""

    OFFICE_TASK = "office_task"
    NO_RULE = "no_rule"
    NO_AGREEMENT = "no_agreement"
    NO_LEGAL_BASIS = "no_legal_basis"
    EXCLUDED_BY_WISH = "excluded_by_wish"
    ALL_ASKED = "all_asked"


class RejectionReason(StrEnum):
    """What was wrong with a partner's reply. Unknown and foreign referrals get the same answer."""

    UNREADABLE = "unreadable"
    INVALID = "invalid"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_REFERRAL = "unknown_referral"
    WRONG_STATE = "wrong_state"


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
