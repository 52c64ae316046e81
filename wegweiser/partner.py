"""`wegweiser partner`: lets the organisations of the agreement in and out, as Kafka's administrator."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer
from aiokafka.errors import KafkaError

from deploy.backends import backends
from deploy.embedded.kafka import access_of
from deploy.onboarding import Onboarding, OnboardingError, Step
from deploy.principals import administrator_lacks
from deploy.secrets import Secrets, password_file
from deploy.settings import ADMIN
from shared.days import local_day
from shared.kafka_access import KafkaAccess
from wegweiser.addresses import Bus, found, stop
from wegweiser.conformance import check, send_test_event
from wegweiser.partner_id import Id
from wegweiser.platform import STILL_IN, onboarding_of, partners
from wegweiser.run import readable
from wegweiser.settings import PlatformSettings, platform_settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]

partner = typer.Typer(
    no_args_is_help=True, help="Let the organisations of the agreement in and out, and try out their software."
)
partner.command()(check)
partner.command()(send_test_event)


@partner.command()
def add(id_: Id, dry_run: DryRun = False) -> None:
    """Let a partner of the agreement take part; what is there already stays as it is."""
    with readable():
        if id_ not in (known := _current()):
            raise OnboardingError(f"no term that is not over names {id_}; partners are {', '.join(known)}")
        onboarding = _onboarding()
        _take(onboarding.adding(id_), dry_run)
        if not dry_run:
            typer.echo(f"{id_} is let in; hand over {onboarding.credentials(id_)} and the ca.pem beside it")


@partner.command()
def show(id_: Id) -> None:
    """Say how a partner stands: its users, their rights, its topics, its file."""
    with readable():
        onboarding = _onboarding()
        try:
            now = onboarding.standing(id_)
        except KafkaError as error:
            _silent(error)
        typer.echo(f"{id_}: {now.word}")
        typer.echo(f"signs in as    {', '.join(now.own) or '-'}")
        typer.echo(f"has rights     {', '.join(sorted(now.with_rights)) or '-'}")
        for user, (written, read, percent) in sorted(now.limits.items()):
            typer.echo(f"at most        {written} bytes/s written, {read} read, {percent} % of a thread: {user}")
        typer.echo(f"lacks topics   {', '.join(now.missing) or '-'}")
        file = onboarding.credentials(id_)
        where = file if file.exists() else "handed over"
        typer.echo(f"credentials    {f'{where} for {now.newest}' if now.newest else '-'}")
        if now.with_rights and id_ not in _current():
            typer.echo(STILL_IN.format(id_))


@partner.command()
def rotate(
    id_: Id,
    finish: Annotated[bool, typer.Option("--finish", help="end the old password")] = False,
    dry_run: DryRun = False,
) -> None:
    """Give a partner a new password; the old one counts until --finish."""
    with readable():
        onboarding = _onboarding()
        _take(onboarding.finishing(id_) if finish else onboarding.rotating(id_), dry_run)
        if not (finish or dry_run):
            typer.echo(
                f"hand over {onboarding.credentials(id_)}; once it is used: wegweiser partner rotate {id_} --finish"
            )


@partner.command()
def suspend(
    id_: Id, end: Annotated[bool, typer.Option("--end", help="let it take part again")] = False, dry_run: DryRun = False
) -> None:
    """Shut a partner out for now; its passwords and what waits for it stay."""
    with readable():
        onboarding = _onboarding()
        _take(onboarding.resuming(id_) if end else onboarding.suspending(id_), dry_run)


@partner.command()
def remove(id_: Id, dry_run: DryRun = False) -> None:
    """Shut a partner out for good. Its topics stay until they have emptied themselves."""
    with readable():
        if id_ in _current():
            raise OnboardingError(
                f"a term that is not over names {id_}: end that first, or shut it out: wegweiser partner suspend {id_}"
            )
        _take(_onboarding().removing(id_), dry_run)


def _current() -> list[str]:
    """Everybody whom a term names that is not over."""
    return partners(on=local_day(datetime.now(UTC)))


def _onboarding() -> Onboarding:
    settings = platform_settings()
    if settings.kafka_security_protocol == "PLAINTEXT":
        raise OnboardingError("nobody signs in where KAFKA_SECURITY_PROTOCOL is PLAINTEXT")
    admin = _admin(settings)
    made = onboarding_of(settings, admin)
    _require_administrator(admin)
    return made


def _admin(settings: PlatformSettings) -> KafkaAccess:
    """Kafka's administrator, at the address that the platform wrote: a container's port is another each time."""
    if settings.backend == "external":
        return backends(settings).kafka
    bootstrap, secrets = found(Bus).kafka_bootstrap, Secrets(settings.secrets_folder)
    if secrets.known(password_file(ADMIN)) is None:
        raise OnboardingError(
            f"{secrets.folder} does not hold the administrator's password: go where Kafka was started"
        )
    return access_of(ADMIN, bootstrap=bootstrap, protocol=settings.kafka_security_protocol, secrets=secrets)


def _require_administrator(admin: KafkaAccess) -> None:
    if why := asyncio.run(admin.refusal()):
        stop(why)
    try:
        lacking = administrator_lacks(admin)
    except KafkaError as error:
        _silent(error)
    if lacking:
        needed = ", ".join(lacking)
        stop(f"{admin.kafka_sasl_username} is no administrator of this Kafka: it lacks {needed} on the cluster")


def _take(steps: Iterator[Step], dry_run: bool) -> None:
    """Each step in its turn, in words and, unless it is only to be said, in deed; then nobody else changes anything."""
    taken = 0
    try:
        with nullcontext() if dry_run else Secrets(platform_settings().secrets_folder).alone():
            for step in steps:
                typer.echo(step.what)
                taken += 1
                if not dry_run:
                    step.do()
    except KafkaError as error:
        _silent(error)
    if not taken:
        typer.echo("nothing to do")


def _silent(error: KafkaError) -> NoReturn:
    stop(f"Kafka does not answer as expected ({error}); typed again, the command goes on where it was")
