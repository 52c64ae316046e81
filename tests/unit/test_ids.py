"""Ids that follow from a cause."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.base import NAMESPACE, derived_id
from shared.envelope import is_id


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_the_same_cause_makes_the_same_uuid_of_version_five(cause: list[str]) -> None:
    made = derived_id(*cause)

    assert made == str(uuid5(NAMESPACE, "\n".join(cause)))
    assert is_id(made)
    assert UUID(made).version == 5
