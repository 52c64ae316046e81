"""`wegweiser token ROLE`: an access token of the embedded issuer, for a request by hand."""

from typing import Annotated

import httpx
import typer

from shared.web.client_credentials import NoTokenError
from shared.web.roles import Role
from wegweiser.addresses import SignIn, found, stop


def token(
    role: Annotated[Role, typer.Argument(help="what its holder is to the office")],
    partner: Annotated[str | None, typer.Option(metavar="ID", help="of a partner: which one")] = None,
    staff: Annotated[str | None, typer.Option(metavar="ID", help="whose token it is, instead of an example")] = None,
    organisation: Annotated[str | None, typer.Option(help="of a social worker, instead of an example")] = None,
    minutes: Annotated[int, typer.Option(help="how long it counts")] = 15,
) -> None:
    """Print a token; it goes into the header `Authorization: Bearer …`. A district's own issuer knows its people itself
    and gives none this way."""
    of_whom = {"partner_id": partner, "subject": staff, "organisation": organisation}
    said = {name: value for name, value in of_whom.items() if value is not None}
    credentials = found(SignIn).credentials
    try:
        typer.echo(credentials.obtain(scope=role, minutes=str(minutes), **said))
    except NoTokenError as error:
        stop(str(error), code=1)
    except httpx.HTTPError as error:
        stop(f"the issuer does not answer ({type(error).__name__})")
