"""Whatever a change is broken off at, typed again it ends, and a start lets nobody back in who was on the way out."""

import asyncio
from functools import partial

import pytest
from letting_in import Change, Office, limits_of
from taking_part import takes_no_part, takes_part
from toy.trial import eventually

from deploy.backends import Backends
from deploy.onboarding import OnboardingError


async def test_after_a_rotation_that_was_broken_off_a_removal_leaves_nothing_either(
    office: Office, backends: Backends
) -> None:
    after = 1
    await office.change(office.onboarding.adding)
    while await office.broken_off(office.onboarding.rotating, after):
        await office.change(office.onboarding.removing)

        users = [f"partner-{office.id}-{which}" for which in ("1", "2", "gateway")]
        assert await asyncio.to_thread(limits_of, backends, users) == {}
        assert not (await asyncio.to_thread(office.onboarding.standing, office.id)).is_known
        assert [path.name for path in office.folder.rglob("*") if path.is_file()] == ["ca.pem"]
        await office.change(office.onboarding.adding)
        after += 1
    assert after > 3


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ([], "adding"),
        (["adding"], "rotating"),
        (["adding", "rotating"], "finishing"),
        (["adding"], "suspending"),
        (["adding", "suspending"], "resuming"),
        (["adding"], "removing"),
    ],
    ids=lambda said: said if isinstance(said, str) else None,
)
async def test_a_change_that_was_broken_off_anywhere_ends_when_it_is_typed_again(
    office: Office, before: list[str], name: str
) -> None:
    """A first attempt ends after each of the steps in turn, and a second one ends it all."""
    change: Change = getattr(office.onboarding, name)
    after = 0
    has_more = True
    while has_more:
        for earlier in before:
            await office.change(getattr(office.onboarding, earlier))
        has_more = await office.broken_off(change, after)
        if has_more:
            await office.change(change)
        now = await asyncio.to_thread(office.onboarding.standing, office.id)
        gateway = f"partner-{office.id}-gateway"
        if name == "removing":
            assert not now.is_known, after
        elif name == "suspending":
            assert now.is_suspended, after
        else:
            assert now.with_rights == {*now.own, gateway}, after
            assert now.newest in now.own, after
            assert len(now.own) == (2 if name == "rotating" else 1), after
            await eventually(partial(takes_part, office.handed_over(), office.id))
        await office.change(office.onboarding.removing)
        after += 1
    assert after > 1


@pytest.mark.parametrize(
    ("before", "name"),
    [(["adding"], "suspending"), (["adding", "rotating"], "removing")],
    ids=["suspending", "removing"],
)
async def test_who_was_being_shut_out_is_not_let_in_again_by_a_start(
    office: Office, before: list[str], name: str
) -> None:
    after = 1
    for earlier in before:
        await office.change(getattr(office.onboarding, earlier))
    handed, of_gateway = office.handed_over(), office.of_gateway()
    while await office.broken_off(getattr(office.onboarding, name), after):
        now = await asyncio.to_thread(office.onboarding.standing, office.id)
        if now.is_known:  # otherwise no term names it, and a start does nothing for it
            await office.start()
            assert now.word == "suspended", after
        for access in (handed, of_gateway):
            await eventually(partial(takes_no_part, access, office.id))
        await office.change(office.onboarding.removing)
        for earlier in before:
            await office.change(getattr(office.onboarding, earlier))
        handed, of_gateway = office.handed_over(), office.of_gateway()
        after += 2  # what lies between is typed again elsewhere
    assert after > 1


@pytest.mark.parametrize("then", ["start", "add"])
async def test_a_password_that_was_being_ended_does_not_come_back(office: Office, then: str) -> None:
    after = 1
    await office.change(office.onboarding.adding)
    old = office.handed_over()
    await office.change(office.onboarding.rotating)
    while await office.broken_off(office.onboarding.finishing, after):
        await (office.start() if then == "start" else office.change(office.onboarding.adding))

        await eventually(partial(takes_no_part, old, office.id))
        assert await takes_part(office.handed_over(), office.id)
        await office.change(office.onboarding.removing)
        await office.change(office.onboarding.adding)
        old = office.handed_over()
        await office.change(office.onboarding.rotating)
        after += 1
    assert after > 3


async def test_who_was_being_let_in_for_the_first_time_is_let_in_by_the_next_start(office: Office) -> None:
    after = 1
    while await office.broken_off(office.onboarding.adding, after):
        await office.start()

        await eventually(partial(takes_part, office.handed_over(), office.id))
        await eventually(partial(takes_part, office.of_gateway(), office.id))
        await office.change(office.onboarding.removing)
        after += 1
    assert after > 5


@pytest.mark.parametrize("asks_for_it_again", [False, True])
async def test_where_the_file_was_moved_away_the_old_password_is_the_one_that_ends(
    office: Office, asks_for_it_again: bool
) -> None:
    await office.change(office.onboarding.adding)
    old = office.handed_over()
    await office.change(office.onboarding.rotating)
    new = office.handed_over()
    office.onboarding.credentials(office.id).unlink()

    if asks_for_it_again:
        await office.change(office.onboarding.adding)
        assert office.handed_over() == new
    await office.change(office.onboarding.finishing)

    assert await takes_part(new, office.id)
    await eventually(partial(takes_no_part, old, office.id))


async def test_where_nobody_knows_which_password_was_handed_over_an_operator_is_asked(office: Office) -> None:
    await office.change(office.onboarding.adding)
    await office.change(office.onboarding.rotating)
    memory = office.folder / "secrets" / f"newest-{office.id}"
    memory.unlink()

    for change in (office.onboarding.adding, office.onboarding.finishing):
        with pytest.raises(OnboardingError, match=f"write its name into {memory}"):
            await office.change(change)
    memory.write_text(f"partner-{office.id}-2\n")
    await office.change(office.onboarding.finishing)

    assert await takes_part(office.handed_over(), office.id)


async def test_a_removal_that_was_broken_off_can_be_taken_back(office: Office) -> None:
    """Kafka and the files agree on every password then, the gateway's too."""
    after = 2
    await office.change(office.onboarding.adding)
    while await office.broken_off(office.onboarding.removing, after):
        if (await asyncio.to_thread(office.onboarding.standing, office.id)).is_suspended:
            await office.change(office.onboarding.resuming)
            assert await takes_part(office.handed_over(), office.id), after
            assert await takes_part(office.of_gateway(), office.id), after
        else:
            await office.change(office.onboarding.removing)
            await office.change(office.onboarding.adding)
        after += 2
    assert after > 4
