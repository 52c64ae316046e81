"""Lets partners in and out: topics, users, rights, passwords and the files that tell of them (ADR 11).

Kafka is the record of who is in, so every change is a list of steps from what is there to what is wanted: what was done
before is no step any more, and a command that was killed half-way is typed again. Rights come before the user that has
them and go before it, so half-way somebody is shut out, and nobody is let in.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from dotenv import dotenv_values
from pydantic import SecretStr

from deploy.errors import DeployError
from deploy.principals import admit, dismiss, grant, users_of, who_has_others, who_has_rights
from deploy.quotas import Quota, limit, limits
from deploy.secrets import Secrets, client_file, password_file, write_private
from deploy.setting_files import write_settings
from shared.kafka_access import KafkaAccess
from shared.rights import Right, gateway_user, own_users, rights_of_partner
from shared.topics import missing_topics, provision, topics_of_partner

CREDENTIALS: Final = "partners"
"""The folder with a file for each partner, which is to be handed over to it."""
GATEWAY_FOLDER: Final = "gateway"
"""The folder with a file for each partner, which only the gateway reads."""
_MECHANISM: Final = "SCRAM-SHA-512"
"""What `admit` makes passwords for; an administrator elsewhere may sign in otherwise."""


class OnboardingError(DeployError):
    """A change that cannot be made; the text says what to do instead."""


class Step(NamedTuple):
    """One thing to be done, in words and as a call."""

    what: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Standing:
    """What Kafka knows of a partner: which of its users can sign in (`own` without the gateway's), which may do
    something and how much of it, which of its topics are missing. `newest` is the user that its credentials file
    names, None without a file."""

    users: frozenset[str]
    own: tuple[str, ...]
    with_rights: set[str]
    limits: Mapping[str, Quota]
    missing: tuple[str, ...]
    newest: str | None

    @property
    def is_known(self) -> bool:
        """Whether it was ever let in, and not removed."""
        return bool(self.users or self.with_rights)

    @property
    def is_suspended(self) -> bool:
        """Whether it may do nothing for now."""
        return bool(self.own) and not self.with_rights

    @property
    def word(self) -> str:
        """The same in a word."""
        if not self.is_known:
            return "not let in"
        if self.is_suspended:
            return "suspended"
        return "changing its password" if len(self.own) > 1 else "active"


class Onboarding:
    """Changes for one partner after another. Every call raises `KafkaError` where the broker does not answer."""

    def __init__(
        self,
        admin: KafkaAccess,
        secrets: Secrets,
        folder: Path,
        *,
        told: Mapping[str, str],
        others: Mapping[str, Sequence[Right]],
        quota: Quota,
    ) -> None:
        """`folder` is where the files go, `told` what every partner is told besides its own, `others` the rights of
        everybody but partners, `quota` what each user of a partner may have."""
        self._admin = admin
        self._secrets = secrets
        self._folder = folder
        self._told = told
        self._others = others
        self._quota = quota

    def standing(self, id_: str) -> Standing:
        """How it is now."""
        everybody = {*own_users(id_), gateway_user(id_)}
        users = everybody & users_of(self._admin)
        return Standing(
            users=frozenset(users),
            own=tuple(user for user in own_users(id_) if user in users),
            with_rights=who_has_rights(self._admin) & everybody,
            limits={user: quota for user, quota in limits(self._admin).items() if user in everybody},
            missing=tuple(asyncio.run(missing_topics(self._admin, topics_of_partner(id_)))),
            newest=dotenv_values(self.credentials(id_)).get("KAFKA_SASL_USERNAME"),
        )

    def credentials(self, id_: str) -> Path:
        """The file that is handed over to the partner."""
        return self._folder / CREDENTIALS / f"{id_}.env"

    def adding(self, id_: str) -> Iterator[Step]:
        """What is missing for a partner to take part."""
        now = self.standing(id_)
        if now.is_suspended:
            raise OnboardingError(f"{id_} is suspended; `wegweiser partner suspend {id_} --end` lets it in again")
        own = now.own or own_users(id_)[:1]
        if others := who_has_others(self._admin, self._others):
            changed = {name: self._others[name] for name in sorted(others)}
            yield Step(f"give {', '.join(changed)} the rights of the table", lambda: grant(self._admin, changed))
        if now.missing:
            yield Step(f"make {', '.join(now.missing)}", lambda: self._make_topics(id_))
        if now.newest not in own:
            yield self._telling(id_, own[0])
        yield from self._letting_in(id_, now, own)

    def rotating(self, id_: str) -> Iterator[Step]:
        """A new password, by the other user; the old one counts until `finishing`."""
        now = self._active(id_)
        if len(now.own) > 1:
            raise OnboardingError(
                f"{id_} has two passwords already; once it uses the one of {self.credentials(id_)}, end the other:"
                f" wegweiser partner rotate {id_} --finish"
            )
        [other] = set(own_users(id_)).difference(now.own)
        yield Step(f"make a password for {other}", lambda: self._renew(other))
        yield self._telling(id_, other)
        yield from self._letting_in(id_, now, (other,))

    def finishing(self, id_: str) -> Iterator[Step]:
        """The old password counts no more."""
        now = self._active(id_)
        if now.newest not in now.own:
            raise OnboardingError(f"{self.credentials(id_)} has to name the user that stays, {' or '.join(now.own)}")
        for user in now.own:
            if user != now.newest:
                yield from self._shutting_out(user, now)

    def suspending(self, id_: str) -> Iterator[Step]:
        """It may do nothing for now; its passwords and what waits for it stay."""
        now = self.standing(id_)
        if not now.is_known:
            raise _not_let_in(id_)
        if self._of_gateway(id_).exists():
            yield Step(f"remove {self._of_gateway(id_)}", self._of_gateway(id_).unlink)
        for user in sorted(now.with_rights):
            yield self._disarming(user)

    def resuming(self, id_: str) -> Iterator[Step]:
        """It may again what it might before."""
        now = self.standing(id_)
        if not now.own:
            raise _not_let_in(id_)
        yield from self._letting_in(id_, now, now.own)

    def removing(self, id_: str) -> Iterator[Step]:
        """Nobody can sign in for it any more. Its topics stay until they have emptied themselves."""
        now = self.standing(id_)
        for user in (*own_users(id_), gateway_user(id_)):
            yield from self._shutting_out(user, now)
        for file in (self._of_gateway(id_), self.credentials(id_)):
            if file.exists():
                yield Step(f"remove {file}", file.unlink)

    def renewing(self, id_: str) -> Iterator[Step]:
        """Rights and files as they are to be now, for those who may do something; for nobody else."""
        now = self.standing(id_)
        yield from self._limiting(now, now.with_rights)
        for user in sorted(now.with_rights):
            yield self._arming(id_, user)
        if now.with_rights:
            yield self._telling_gateway(id_)
        if now.newest in now.own:
            yield self._telling(id_, now.newest)

    def _letting_in(self, id_: str, now: Standing, own: Sequence[str]) -> Iterator[Step]:
        gateway = gateway_user(id_)
        yield from self._limiting(now, (gateway, *own))
        wanted = {user: tuple(rights_of_partner(id_)) for user in (gateway, *own)}
        lacking = who_has_others(self._admin, wanted)
        for user in wanted:
            if user in lacking:
                yield self._arming(id_, user)
            if user not in now.users:
                yield Step(f"let {user} sign in", partial(self._admit, user))
        if not self._of_gateway(id_).exists():
            yield self._telling_gateway(id_)

    def _shutting_out(self, user: str, now: Standing) -> Iterator[Step]:
        if user in now.with_rights:
            yield self._disarming(user)
        for name in (password_file(user), client_file(user)):
            if self._secrets.known(name) is not None:
                yield Step(f"forget {name}", partial(self._secrets.forget, name))
        if user in now.users:
            yield Step(f"let {user} sign in no more", lambda: dismiss(self._admin, [user]))
        if user in now.limits:
            yield Step(f"forget the limits of {user}", lambda: limit(self._admin, [user], None))

    def _arming(self, id_: str, user: str) -> Step:
        return Step(f"give {user} its rights", lambda: grant(self._admin, {user: rights_of_partner(id_)}))

    def _limiting(self, now: Standing, users: Iterable[str]) -> Iterator[Step]:
        if others := sorted(user for user in users if now.limits.get(user) != self._quota):
            yield Step(f"limit what {', '.join(others)} may have", lambda: limit(self._admin, others, self._quota))

    def _disarming(self, user: str) -> Step:
        return Step(f"take the rights of {user}", lambda: grant(self._admin, {user: ()}))

    def _telling(self, id_: str, user: str) -> Step:
        return Step(f"write {self.credentials(id_)} for {user}", lambda: self._tell(id_, user))

    def _telling_gateway(self, id_: str) -> Step:
        file, user = self._of_gateway(id_), gateway_user(id_)
        return Step(f"write {file}", lambda: write_settings(file, self._access_of(user).environment))

    def _tell(self, id_: str, user: str) -> None:
        """The authority's certificate goes beside it: the folder of secrets is not the partner's to read."""
        access, folder = self._access_of(user), self.credentials(id_).parent.absolute()
        if access.kafka_ca is not None:
            write_private(folder / access.kafka_ca.name, access.kafka_ca.read_text())
            access = access.model_copy(update={"kafka_ca": folder / access.kafka_ca.name})
        secret = self._secrets.password(client_file(user))
        settings = {"PARTNER_ID": id_, **access.environment, **self._told}
        write_settings(self.credentials(id_), {**settings, "OIDC_CLIENT_ID": user, "OIDC_CLIENT_SECRET": secret})

    def _admit(self, user: str) -> None:
        admit(self._admin, [self._access_of(user)])

    def _renew(self, user: str) -> None:
        for name in (password_file(user), client_file(user)):
            self._secrets.renew(name)

    def _make_topics(self, id_: str) -> None:
        asyncio.run(provision(self._admin, topics_of_partner(id_)))

    def _access_of(self, user: str) -> KafkaAccess:
        password = SecretStr(self._secrets.password(password_file(user)))
        own = {"kafka_sasl_mechanism": _MECHANISM, "kafka_sasl_username": user, "kafka_sasl_password": password}
        return self._admin.model_copy(update=own)

    def _of_gateway(self, id_: str) -> Path:
        return self._folder / GATEWAY_FOLDER / f"{id_}.env"

    def _active(self, id_: str) -> Standing:
        now = self.standing(id_)
        if not now.own:
            raise _not_let_in(id_)
        if now.is_suspended:
            raise OnboardingError(f"{id_} is suspended")
        return now


def _not_let_in(id_: str) -> OnboardingError:
    return OnboardingError(f"{id_} was not let in; `wegweiser partner add {id_}` does it")
