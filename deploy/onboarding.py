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
from typing import NamedTuple

from deploy.errors import DeployError
from deploy.handover import Handover
from deploy.principals import Rights, admit, dismiss, give, grant, users_of, who_has_others, who_has_rights, who_lacks
from deploy.quotas import Quota, limit, limits
from deploy.secrets import Secrets
from shared.kafka_access import KafkaAccess
from shared.rights import gateway_user, own_users, rights_of_partner
from shared.topics import missing_topics, provision, topics_of_partner


class OnboardingError(DeployError):
    """A change that cannot be made; the text says what to do instead."""


class Step(NamedTuple):
    """One thing to be done, in words and as a call."""

    what: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Standing:
    """What Kafka knows of a partner: which of its users can sign in (`own` without the gateway's), which may do
    something and how much of it, which of its topics are missing. `newest` is the user whose password was handed over
    last, None where none was."""

    users: frozenset[str]
    own: tuple[str, ...]
    with_rights: frozenset[str]
    limits: Mapping[str, Quota]
    missing: tuple[str, ...]
    newest: str | None

    @property
    def is_known(self) -> bool:
        """Whether it was ever let in, and not removed."""
        return bool(self.users)

    @property
    def active(self) -> tuple[str, ...]:
        """Those of its own users that may do something: by them it is judged, the gateway's only follows."""
        return tuple(user for user in self.own if user in self.with_rights)

    @property
    def is_suspended(self) -> bool:
        """Whether it may do nothing for now."""
        return self.is_known and not self.active

    @property
    def word(self) -> str:
        """The same in a word."""
        if not self.is_known:
            return "not let in"
        if self.is_suspended:
            return "suspended"
        return "changing its password" if len(self.own) > 1 else "active"


class Onboarding:
    """Changes for one partner after another. Every call raises `KafkaError` where the broker does not answer.

    Who makes a change is alone with the secrets (`Secrets.alone`) from its first step to its last.
    """

    def __init__(
        self,
        admin: KafkaAccess,
        secrets: Secrets,
        folder: Path,
        *,
        told: Mapping[str, str],
        others: Rights,
        quota: Quota,
        makes_clients: bool = True,
    ) -> None:
        """`folder` is where the files go, `told` what every partner is told besides its own, `others` the rights of
        everybody but partners, `quota` what each user of a partner may have, `makes_clients` whether the issuer of
        tokens takes the secrets that are made here."""
        self._admin = admin
        self._others = others
        self._quota = quota
        self._handover = Handover(admin, secrets, folder, told, makes_clients=makes_clients)

    def standing(self, id_: str) -> Standing:
        """How it is now."""
        everybody = frozenset((*own_users(id_), gateway_user(id_)))
        users = everybody & users_of(self._admin)
        return Standing(
            users=users,
            own=tuple(user for user in own_users(id_) if user in users),
            with_rights=everybody & who_has_rights(self._admin),
            limits={user: quota for user, quota in limits(self._admin).items() if user in everybody},
            missing=tuple(asyncio.run(missing_topics(self._admin, topics_of_partner(id_)))),
            newest=self._handover.newest(id_),
        )

    def credentials(self, id_: str) -> Path:
        """The file that is handed over to the partner."""
        return self._handover.credentials(id_)

    def adding(self, id_: str) -> Iterator[Step]:
        """What is missing for a partner to take part. Everybody else loses nothing by it."""
        now = self.standing(id_)
        if now.is_suspended:
            raise OnboardingError(f"{id_} is suspended; `wegweiser partner suspend {id_} --end` lets it in again")
        own = now.active or own_users(id_)[:1]
        user = self._handed(id_, now) if len(now.own) > 1 else own[0]
        topics = {topic.name for topic in topics_of_partner(id_)}
        others = {name: [right for right in rights if right.name in topics] for name, rights in self._others.items()}
        if lacking := sorted(who_lacks(self._admin, others)):
            wanted = {name: others[name] for name in lacking}
            yield Step(f"give {', '.join(lacking)} the rights of the table", lambda: give(self._admin, wanted))
        if now.missing:
            yield Step(f"make {', '.join(now.missing)}", lambda: self._make_topics(id_))
        if now.newest != user or not self.credentials(id_).exists():
            yield self._telling(id_, user)
        yield from self._letting_in(id_, now, own)

    def rotating(self, id_: str) -> Iterator[Step]:
        """A new password, by the other user; the old one counts until `finishing`."""
        now = self._active(id_)
        if len(now.own) > 1:
            raise OnboardingError(
                f"{id_} has two passwords already; once it uses the one of {self._handed(id_, now)}, end the other:"
                f" wegweiser partner rotate {id_} --finish"
            )
        [other] = set(own_users(id_)).difference(now.own)
        yield Step(f"make a password for {other}", lambda: self._handover.renew(other))
        yield self._telling(id_, other)
        yield from self._letting_in(id_, now, (other,))

    def finishing(self, id_: str) -> Iterator[Step]:
        """The old password counts no more."""
        now = self._active(id_)
        stays = self._handed(id_, now)
        for user in now.own:
            if user != stays:
                yield from self._disarming(now.with_rights & {user})
                yield from self._dismissing(user, now)

    def suspending(self, id_: str) -> Iterator[Step]:
        """It may do nothing for now; its passwords and what waits for it stay."""
        now = self.standing(id_)
        if not now.is_known:
            raise _not_let_in(id_)
        yield from self._disarming(now.with_rights)
        if self._handover.of_gateway(id_).exists():
            yield _removing(self._handover.of_gateway(id_))

    def resuming(self, id_: str) -> Iterator[Step]:
        """It may again what it might before."""
        now = self.standing(id_)
        if not now.own:
            raise _not_let_in(id_)
        yield from self._letting_in(id_, now, now.own)

    def removing(self, id_: str) -> Iterator[Step]:
        """Nobody can sign in for it any more. Its topics stay until they have emptied themselves."""
        now = self.standing(id_)
        yield from self._disarming(now.with_rights)
        for user in (gateway_user(id_), *own_users(id_)):  # as long as one of its own is there it counts as suspended
            yield from self._dismissing(user, now)
        files = (self._handover.of_gateway(id_), self.credentials(id_), self._handover.memory(id_))
        yield from (_removing(file) for file in files if file.exists())

    def renewing(self, id_: str) -> Iterator[Step]:
        """Rights and files as they are to be now, for who may do something; for nobody else."""
        now = self.standing(id_)
        if now.active:
            yield self._telling_gateway(id_)
            yield from self._letting_in(id_, now, now.active)
        if now.newest in now.own and self.credentials(id_).exists():
            yield self._telling(id_, now.newest)

    def _letting_in(self, id_: str, now: Standing, own: Sequence[str]) -> Iterator[Step]:
        wanted = {user: tuple(rights_of_partner(id_)) for user in (*own, gateway_user(id_))}
        yield from self._limiting(now, wanted)
        lacking = who_has_others(self._admin, wanted)
        # Of a removal that was broken off: Kafka may know a password that was forgotten here.
        anew = {user for user in wanted if user not in now.users or not self._handover.secrets_of(user)}
        for user in wanted:
            if user in lacking:
                yield self._arming(id_, user)
            if user in anew:
                yield Step(f"let {user} sign in", partial(self._admit, user))
        if now.newest in anew:
            yield self._telling(id_, now.newest)
        if gateway_user(id_) in anew or not self._handover.of_gateway(id_).exists():
            yield self._telling_gateway(id_)

    def _dismissing(self, user: str, now: Standing) -> Iterator[Step]:
        for file in self._handover.secrets_of(user):
            yield Step(f"forget {file.name}", file.unlink)
        if user in now.users:
            yield Step(f"let {user} sign in no more", lambda: dismiss(self._admin, [user]))
        if user in now.limits:
            yield Step(f"forget the limits of {user}", lambda: limit(self._admin, [user], None))

    def _arming(self, id_: str, user: str) -> Step:
        return Step(f"give {user} its rights", lambda: grant(self._admin, {user: tuple(rights_of_partner(id_))}))

    def _disarming(self, users: Iterable[str]) -> Iterator[Step]:
        """All in one step: of somebody who was shut out half-way nobody could say how they stand."""
        if armed := sorted(users):
            yield Step(f"take the rights of {', '.join(armed)}", lambda: grant(self._admin, dict.fromkeys(armed, ())))

    def _limiting(self, now: Standing, users: Iterable[str]) -> Iterator[Step]:
        if others := sorted(user for user in users if now.limits.get(user) != self._quota):
            yield Step(f"limit what {', '.join(others)} may have", lambda: limit(self._admin, others, self._quota))

    def _telling(self, id_: str, user: str) -> Step:
        return Step(f"write {self.credentials(id_)} for {user}", lambda: self._handover.tell(id_, user))

    def _telling_gateway(self, id_: str) -> Step:
        return Step(f"write {self._handover.of_gateway(id_)}", lambda: self._handover.tell_gateway(id_))

    def _admit(self, user: str) -> None:
        admit(self._admin, [self._handover.access_of(user)])

    def _make_topics(self, id_: str) -> None:
        asyncio.run(provision(self._admin, topics_of_partner(id_)))

    def _active(self, id_: str) -> Standing:
        now = self.standing(id_)
        if not now.own:
            raise _not_let_in(id_)
        if now.is_suspended:
            raise OnboardingError(f"{id_} is suspended")
        return now

    def _handed(self, id_: str, now: Standing) -> str:
        """Whose password was handed over last."""
        if now.newest not in now.own:
            raise OnboardingError(
                f"which of {' and '.join(now.own)} {id_} was handed last is not known any more: write its name into"
                f" {self._handover.memory(id_)}"
            )
        return now.newest


def _removing(file: Path) -> Step:
    return Step(f"remove {file}", file.unlink)


def _not_let_in(id_: str) -> OnboardingError:
    return OnboardingError(f"{id_} was not let in; `wegweiser partner add {id_}` does it")
