"""`wegweiser schemas`, `asyncapi` and `events`: the contracts, for those who program against them."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from services.intake import handlers as intake
from services.notify import handlers as notify
from services.routing import handlers as routing
from services.routing.domain.agreement import Agreements
from services.routing.domain.situation import Situation
from services.scheduling import handlers as scheduling
from shared.asyncapi import asyncapi as document_of
from shared.asyncapi import asyncapi_of_partner
from shared.contracts import BY_TYPE
from shared.contracts.schemas import BreakingChangeError, publish
from shared.pipeline.decisions import Reaction
from shared.pipeline.reading import Subscription
from shared.topics import ServiceName
from wegweiser.addresses import stop
from wegweiser.catalogue import catalogue, example
from wegweiser.partner_id import an_id
from wegweiser.platform import partners

_READS: Final[Mapping[ServiceName, tuple[Sequence[Reaction[Any, Any]], Sequence[Subscription]]]] = {
    ServiceName.INTAKE: (intake.REACTIONS, intake.SUBSCRIPTIONS),
    # What routing decides depends on the agreements; what it reads does not.
    ServiceName.ROUTING: (routing.reactions(lambda: Situation(Agreements())), routing.SUBSCRIPTIONS),
    ServiceName.SCHEDULING: (scheduling.REACTIONS, scheduling.SUBSCRIPTIONS),
    ServiceName.NOTIFY: (notify.REACTIONS, notify.SUBSCRIPTIONS),
}


class Whose(StrEnum):
    """Who there is a document for."""

    INTAKE = ServiceName.INTAKE
    ROUTING = ServiceName.ROUTING
    SCHEDULING = ServiceName.SCHEDULING
    NOTIFY = ServiceName.NOTIFY
    PARTNER = "partner"


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


def asyncapi(
    whose: Annotated[Whose, typer.Argument(help="the service, or `partner`")],
    partner_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="of a partner: which one")] = None,
) -> None:
    """Print what a service or one partner sends and receives, as AsyncAPI 3.0; nothing needs to run for it."""
    if (whose is Whose.PARTNER) is not (partner_id is not None):
        raise typer.BadParameter("`partner` goes with an id, and nothing else does")
    if partner_id is None:
        reactions, subscriptions = _READS[ServiceName(whose)]
        document = document_of(whose, [reaction.event for reaction in reactions], subscriptions)
    elif an_id(partner_id) in (known := partners()):
        document = asyncapi_of_partner(partner_id)
        for type_, message in document["components"]["messages"].items():
            message["examples"] = [{"payload": _example(type_, partner_id)}]
    else:
        stop(f"{partner_id} is no partner of the agreement; there are {', '.join(known)}", code=1)
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _example(type_: str, partner_id: str) -> dict[str, Any]:
    payload = example(BY_TYPE[type_].event).model_dump(mode="json")
    return {**payload, "partner_id": partner_id} if "partner_id" in payload else payload


def events() -> None:
    """Print the catalogue of the events a partner receives and sends, as Markdown with an example of each."""
    typer.echo(catalogue(), nl=False)
