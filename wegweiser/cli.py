"""The command line. A command is a function in a module of its own and adds itself by one line in `COMMANDS`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final[Mapping[str, str]] = {
    "run": "wegweiser.run:run",
    "demo": "wegweiser.run:demo",
    "down": "wegweiser.down:down",
    "stop": "wegweiser.by_hand:stop",
    "start": "wegweiser.by_hand:start",
    "service": "wegweiser.service:service",
    "token": "wegweiser.token:token",
    "agreement": "wegweiser.agreement:agreement",
    "partner": "wegweiser.partner:partner",
    "import": "wegweiser.import_cases:import_cases",
    "trace": "wegweiser.trace:trace",
    "tail": "wegweiser.tail:tail",
    "lag": "wegweiser.lag:lag",
    "dead-letters": "wegweiser.dead_letters:dead_letters",
    "rewind": "wegweiser.rewind:rewind",
    "schemas": "wegweiser.contracts:schemas",
    "asyncapi": "wegweiser.contracts:asyncapi",
    "events": "wegweiser.contracts:events",
}
"""A command, and where it is found: a function, or a `typer.Typer` with commands of its own."""


class LazyCommands(TyperGroup):
    """Imports a command when it is called: a service must not carry the memory of every tool."""

    def list_commands(self, _ctx: Any) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """The command itself, None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, typer.Typer):
            single = typer.Typer(add_completion=False)
            single.command(cmd_name)(command)
            command = single
        found = typer.main.get_command(command)
        found.name = cmd_name
        return found


app = typer.Typer(cls=LazyCommands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def wegweiser() -> None:
    """The integration office platform: start it, look into it, repair it."""


def main() -> None:
    """The console script."""
    app()
