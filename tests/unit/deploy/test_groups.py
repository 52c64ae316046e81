"""A partner has so many consumer groups; those it works in stay."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.groups import surplus

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
