"""Where the operators' tools find the platform: the environment, or the file that `make run` writes."""

from typing import Final, NoReturn, TypeVar

import typer
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kafka_access import KafkaAccess
from shared.settings import lacking_in
from shared.web.client_credentials import Credentials

PLATFORM_FILE: Final = "var/platform.env"

A = TypeVar("A", bound=BaseSettings)


class Bus(KafkaAccess, BaseSettings):
    """Where Kafka is, and who an operator is there."""

    model_config = SettingsConfigDict(env_file=PLATFORM_FILE, frozen=True, extra="ignore", hide_input_in_errors=True)


class SignIn(BaseSettings):
    """Who an operator's commands are to the issuer."""

    model_config = SettingsConfigDict(env_file=PLATFORM_FILE, frozen=True, extra="ignore", hide_input_in_errors=True)

    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: SecretStr

    @property
    def credentials(self) -> Credentials:
        """What a token is asked for with."""
        return Credentials(self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret.get_secret_value())


class IntakeDoor(SignIn):
    """Where intake answers."""

    intake_url: str


class Doors(IntakeDoor):
    """Where all services answer."""

    routing_url: str
    scheduling_url: str
    notify_url: str


def found(addresses: type[A]) -> A:
    """The addresses; ends the command with one line where they are not known."""
    try:
        return addresses()
    except ValidationError as error:
        advice = f"set it in the environment, or start here where `make run` wrote {PLATFORM_FILE}"
        stop(f"unknown: {lacking_in(error)}; {advice}")


def stop(why: str, code: int = 2) -> NoReturn:
    """End the command: 2 where something does not answer, 1 where it refuses."""
    typer.echo(why, err=True)
    raise typer.Exit(code)
