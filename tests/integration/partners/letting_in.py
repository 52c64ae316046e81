"""Letting one partner in and out, as tests do it."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from uuid import uuid4

from dotenv import dotenv_values

from deploy.backends import Backends
from deploy.embedded.issuer import EmbeddedIssuer, RefusedError
from deploy.onboarding import Onboarding, Step
from deploy.quotas import Quota, limits
from deploy.secrets import Secrets
from shared.kafka_access import KafkaAccess
from shared.rights import Kind, Operation, Right
from shared.topics import partner_topics

QUOTA = Quota(64 * 1024, 1024 * 1024, 25)

Change = Callable[[str], Iterator[Step]]


def basic(client: str, secret: str) -> str:
    return "Basic " + b64encode(f"{client}:{secret}".encode()).decode()


class Office:
    """Lets one partner in and out, and asks Kafka what it may do with the credentials it was given."""

    def __init__(self, backends: Backends, folder: Path) -> None:
        self.id = f"p-{uuid4().hex[:8]}"
        self.folder = folder
        self.secrets = Secrets(folder / "secrets")
        queue, _ = partner_topics(self.id)
        self.onboarding = Onboarding(
            backends.kafka,
            self.secrets,
            folder,
            told={"OIDC_ISSUER": "http://127.0.0.1:8180"},
            quota=QUOTA,
            others={f"service-{self.id}": [Right(Kind.TOPIC, queue.name, Operation.WRITE)]},
        )

    async def change(self, change: Change) -> list[str]:
        """Every step of it, and what each was."""
        return await asyncio.to_thread(lambda: [self._taken(step) for step in change(self.id)])

    async def broken_off(self, change: Change, after: int) -> bool:
        """The first steps only; whether there were more."""

        def some() -> bool:
            for number, step in enumerate(change(self.id)):
                if number == after:
                    return True
                step.do()
            return False

        return await asyncio.to_thread(some)

    def gives_token(self, client: str, secret: str | None) -> bool:
        """Whether the issuer still takes somebody for this client."""
        issuer = EmbeddedIssuer("http://127.0.0.1:8180", self.secrets)
        try:
            issuer.token(basic(client, secret or ""), {"grant_type": "client_credentials"})
        except RefusedError:
            return False
        return True

    async def start(self) -> None:
        """What the start of a platform does for each partner."""
        is_known = (await asyncio.to_thread(self.onboarding.standing, self.id)).is_known
        await self.change(self.onboarding.renewing if is_known else self.onboarding.adding)

    def handed_over(self) -> KafkaAccess:
        """What the partner's credentials file says now."""
        return access_in(self.onboarding.credentials(self.id))

    def of_gateway(self) -> KafkaAccess:
        """As whom the gateway acts for the partner."""
        return access_in(self.folder / "gateway" / f"{self.id}.env")

    def _taken(self, step: Step) -> str:
        step.do()
        return step.what


def access_in(file: Path) -> KafkaAccess:
    told = dotenv_values(file)
    return KafkaAccess.model_validate({name.lower(): value for name, value in told.items() if name[0] == "K"})


def limits_of(backends: Backends, users: Collection[str]) -> dict[str, Quota]:
    return {user: quota for user, quota in limits(backends.kafka).items() if user in users}
