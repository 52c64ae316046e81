"""`wegweiser schemas` and `wegweiser asyncapi SERVICE`: the contracts, for those who program against them."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from services.intake import handlers as intake
from services.notify import handlers as notify
from services.routing import handlers as routing
from services.routing.domain.agreement import Agreements
from services.routing.domain.situation import Situation
from services.scheduling import handlers as scheduling
from shared.asyncapi import asyncapi as document_of
from shared.contracts.schemas import BreakingChangeError, publish
from shared.pipeline.decisions import Reaction
from shared.pipeline.reading import Subscription
from shared.topics import ServiceName

_READS: Final[Mapping[ServiceName, tuple[Sequence[Reaction[Any, Any]], Sequence[Subscription]]]] = {
    ServiceName.INTAKE: (intake.REACTIONS, intake.SUBSCRIPTIONS),
    # What routing decides depends on the agreements; what it reads does not.
    ServiceName.ROUTING: (routing.reactions(lambda: Situation(Agreements())), routing.SUBSCRIPTIONS),
    ServiceName.SCHEDULING: (scheduling.REACTIONS, scheduling.SUBSCRIPTIONS),
    ServiceName.NOTIFY: (notify.REACTIONS, notify.SUBSCRIPTIONS),
}


def schemas() -> None:
    """Write the JSON Schemas of new and changed contracts; refuses what readers or records on the bus do not bear."""
    try:
        written = publish()
    except BreakingChangeError as error:
        for point in error.points:
            typer.echo(point, err=True)
        typer.echo("Nothing was written. What breaks needs a contract of its own, on a .v2 topic.", err=True)
        raise typer.Exit(1) from None
    for type_ in written:
        typer.echo(f"written: {type_}")


def asyncapi(service: Annotated[ServiceName, typer.Argument(help="the service")]) -> None:
    """Print what a service sends and receives, as AsyncAPI 3.0; nothing needs to run for it."""
    reactions, subscriptions = _READS[service]
    document = document_of(service, [reaction.event for reaction in reactions], subscriptions)
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
