"""A partner has so many consumer groups; those it works in stay."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import ConsumerGroupState
from hypothesis import given
from hypothesis import strategies as st

from deploy.groups import MOST_GROUPS, Groups, surplus
from shared.kafka_access import KafkaAccess

NAMES = st.dictionaries(
    st.sampled_from([f"{id_}.{n}" for id_ in ("awo", "awo-b", "vhs") for n in range(9)]), st.booleans()
)


@given(NAMES, st.integers(0, 9))
def test_only_empty_groups_go_and_no_more_than_have_to(with_members: dict[str, bool], most: int) -> None:
    gone = surplus("awo", with_members, most=most)

    own = [name for name in with_members if name.startswith("awo.")]
    assert set(gone) <= {name for name in own if not with_members[name]}
    assert len(gone) == min(max(0, len(own) - most), len([name for name in own if not with_members[name]]))


def test_the_last_by_name_go_first() -> None:
    assert surplus("awo", {"awo.a": False, "awo.b": True, "awo.c": False, "awo.d": False}, most=2) == ["awo.c", "awo.d"]


class Silent:
    """A broker that tells of too many groups and then says nothing more."""

    def list_consumer_groups(self) -> "Future[Any]":
        told: Future[Any] = Future()
        names = [f"awo.{number}" for number in range(MOST_GROUPS + 1)]
        told.set_result(
            SimpleNamespace(valid=[SimpleNamespace(group_id=name, state=ConsumerGroupState.EMPTY) for name in names])
        )
        return told

    def delete_consumer_groups(self, names: list[str]) -> "dict[str, Future[Any]]":
        return {name: Future() for name in names}


def test_a_broker_that_falls_silent_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.groups._ANSWER_SECONDS", 0.01)
    access = KafkaAccess(kafka_bootstrap="127.0.0.1:9", kafka_sasl_username="a", kafka_sasl_password="b")
    groups = Groups(access)
    groups._client = Silent()

    with pytest.raises(KafkaConnectionError):
        groups.forget_surplus(["awo"])
