"""Where the operators' tools find the platform: the environment, or the file that `make run` writes."""

from pathlib import Path
from typing import Final, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kafka_access import KafkaAccess
from shared.settings import lacking_in

PLATFORM_FILE: Final = "var/platform.env"

A = TypeVar("A", bound=BaseSettings)


class Bus(KafkaAccess, BaseSettings):
    """Where Kafka is, and who an operator is there."""

    model_config = SettingsConfigDict(env_file=PLATFORM_FILE, frozen=True, extra="ignore", hide_input_in_errors=True)


class Doors(BaseSettings):
    """Where the services answer, and the token that opens their operators' routes."""

    model_config = SettingsConfigDict(env_file=PLATFORM_FILE, frozen=True, extra="ignore", hide_input_in_errors=True)

    intake_url: str
    routing_url: str
    scheduling_url: str
    notify_url: str
    service_token_file: Path = Path("var/service-token")


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
