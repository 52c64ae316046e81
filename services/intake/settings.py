"""Settings of intake."""

from shared.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """What intake needs besides what every service has."""

    port: int = 8101
    partners: tuple[str, ...] = ("awo", "caritas", "diakonie", "schuldnerberatung", "vhs")
    """Whom a consent may name. A text of any other shape or origin, a name for instance, must not reach the bus."""
    denominational_partners: tuple[str, ...] = ("caritas", "diakonie")
    """Who is left out where a person wishes not to be advised by a denominational body; the wish itself stays here."""
