"""The words of the pipeline: what arrives, what is decided about it, and what came of it.

A service writes pure functions `decide(received, known, now) -> Decision`; everything else is mechanics.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from motor.motor_asyncio import AsyncIOMotorClientSession
from pydantic import BaseModel, ConfigDict

from shared.contracts import Event
from shared.envelope import Cause


class Kept(BaseModel):
    """A part of a state. Fields that a newer version of the service wrote are kept as they are, because the old and the
    new version run side by side during a roll-out."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class Aggregate(Kept):
    """What one service knows of one case. `version` guards it against concurrent writers, `sequence` numbers its
    events; both start at 0. `correlation_id` and `traceparent` are the threads the case began with, for effects of what
    comes from outside without them. The pipeline keeps all four."""

    id: str
    version: int = 0
    sequence: int = 0
    correlation_id: str = ""
    traceparent: str = ""


E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)
S = TypeVar("S", bound=Aggregate)


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """An event as it arrived. `partner_id` is the owner of a partner topic, the only sender that is trusted there;
    `sequence` is the sender's numbering per topic and subject (0 where a partner gives none); `time` (UTC) is when a
    partner claims that it happened, None where it claims none, and for what our own services write."""

    event: E_co
    cause: Cause
    sequence: int
    topic: str
    partition: int
    offset: int
    partner_id: str | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """What follows: the new state (None: unchanged) and the events to tell.

    `answer` is what a repeated HTTP request is answered with; `aside` is a document of the set-aside collection.
    `apart` says that the events belong to no case: they carry neither its number nor its threads, which the one who is
    told must not learn.
    """

    state: S | None = None
    events: tuple[Event, ...] = ()
    answer: Mapping[str, Any] | None = None
    aside: Mapping[str, Any] | None = None
    apart: bool = False


Decide = Callable[[S | None, datetime], Decision[S]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A document whose `_id` can be inserted once: what makes an effect happen once.

    `collection` is `inbox` for events, or one of the service's own for requests.
    """

    collection: str
    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command(Generic[S]):
    """One thing to decide. `key` finds the state (None: concerns no state).

    `fallback` takes its place when `decide` fails or the store refuses what it decided; without one the error is the
    outcome. `parked` takes its place while an earlier record is set aside that holds up one of the `subjects` or the
    case itself; it is given those that are held up.
    """

    key: str | None
    cause: Cause
    decide: Decide[S]
    marks: tuple[Mark, ...] = ()
    subjects: tuple[str, ...] = ()
    fallback: "Callable[[Exception], Command[S]] | None" = None
    parked: "Callable[[Collection[str]], Command[S]] | None" = None


@dataclass(frozen=True, slots=True)
class Done(Generic[S]):
    """The decision took effect; `state` is what is stored now."""

    decision: Decision[S]
    state: S | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """One of the marks was there already; `mark` is its document. Nothing was done."""

    mark: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The decision could not be made or stored, and there was no fallback."""

    error: Exception


Outcome = Done[S] | Repeated | Failed


class States(Protocol[S]):
    """A service's repository, as the pipeline needs it."""

    async def load(self, keys: Collection[str]) -> Mapping[str, S]:
        """The states that the keys lead to, by key; several keys may lead to one state. Unknown keys are left out."""
        ...

    def keys_of(self, state: S) -> Collection[str]:
        """The keys that lead to a state."""
        ...

    async def save(self, states: Sequence[tuple[int, S]], session: AsyncIOMotorClientSession) -> None:
        """Write each state inside the open transaction, given the version it was loaded with (0: new).

        Raises `LostRaceError` where another writer was first.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reaction(Generic[E, S]):
    """What a service does about one event: how the event finds its state, and the pure decision."""

    event: type[E]
    decide: Callable[[Received[E], S | None, datetime], Decision[S]]
    key: Callable[[E], str]
