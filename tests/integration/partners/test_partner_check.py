"""What `wegweiser partner check` and `send-test-event` say to who tries out a partner's software."""

import asyncio
import os
import sys

from candidates import PYTHON, Candidate, python
from toy.trial import eventually

from deploy.embedded.daemon import tied
from shared.cluster import cluster
from wegweiser.program import Program
from wegweiser.scenario import Point

PATIENCE = 12
"""Seconds that a fault takes to show."""


async def test_without_a_command_its_owner_starts_and_kills_it(candidate: Candidate) -> None:
    consumer = await asyncio.create_subprocess_exec(
        *tied([sys.executable, str(PYTHON)]), env={**os.environ, **candidate.environment}
    )

    said = await candidate.order("check", candidate.id, "--seconds", str(PATIENCE), typed="\n\n\n\n\n")

    consumer.kill()
    await consumer.wait()
    assert [line for line in said.output.splitlines() if line.startswith("FAILED")] == [
        f"FAILED  {Point.DECLINED.title}: {Point.DECLINED.read_on}"  # nobody started another one
    ]
    assert said.output.count("Kill your consumer (kill -9), then press Enter") == 1
    assert "Start your consumer so that it declines what it is offered, then press Enter" in said.output


async def test_software_that_never_comes_is_told_so(candidate: Candidate) -> None:
    log = candidate.folder / "log" / f"check-{candidate.id}.log"
    log.parent.mkdir()
    log.write_text("of an earlier check")

    said = await candidate.order("check", candidate.id, "--command", "sleep 100", "--seconds", "2")

    assert said.exit_code == 1
    assert f"FAILED  {Point.OFFER.title}" in said.output
    assert "waited 2 seconds for an answer" in said.output
    assert f"no program ever joined a group {candidate.id}.…" in said.output
    assert f"not tried  {Point.RESTART.title}" in said.output
    assert log.read_text() == ""


async def test_software_that_reads_something_else_is_told_so(candidate: Candidate) -> None:
    command = f"env QUEUE=partner.{candidate.id}.referrals.v1 {python()}"

    said = await candidate.order("check", candidate.id, "--command", command, "--seconds", "5")

    queue = f"sandbox.{candidate.id}.referrals.v1"
    assert f"group {candidate.id}.sandbox is connected, never read {queue}" in said.output


async def test_a_second_program_of_the_group_is_refused(candidate: Candidate) -> None:
    group = f"{candidate.id}.sandbox"
    own = Program(python(), {**candidate.environment, "GROUP": group}, candidate.folder / "log" / "own")
    async with cluster(candidate.kafka) as asked:
        with own.running():
            await eventually(lambda: asked.is_active(group))

            said = await candidate.order("check", candidate.id, "--command", "true")

    assert said.exit_code == 1
    assert said.output == (
        f"a program of the group {group} is connected; end it first (one that was killed counts for a while)\n"
    )


async def test_who_is_signed_in_as_the_partner_is_told_so(candidate: Candidate) -> None:
    own = {name: text for name, text in candidate.own.items() if name.startswith("KAFKA_")}

    told = await candidate.order("send-test-event", candidate.id, **own)
    tried = await candidate.order("check", candidate.id, "--command", "true", **own)

    refused = f"signed in as {own['KAFKA_SASL_USERNAME']}, not as an operator\n"
    assert (told.exit_code, tried.exit_code) == (1, 1)
    assert told.output == refused
    assert tried.output.endswith(refused)


async def test_a_test_event_lies_where_it_is_said(candidate: Candidate) -> None:
    said = await candidate.order("send-test-event", candidate.id)
    withdrawn = await candidate.order("send-test-event", candidate.id, "--type", "referral.withdrawn")
    unknown = await candidate.order("send-test-event", candidate.id, "--type", "reply.accepted")

    no_id = await candidate.order("send-test-event", candidate.id, "--referral", "abc")

    assert (said.exit_code, withdrawn.exit_code, unknown.exit_code, no_id.exit_code) == (0, 0, 1, 1)
    assert no_id.output == "abc is no id of a referral, which is a UUID in small letters\n"
    assert f"lies at sandbox.{candidate.id}.referrals.v1/" in said.output
    assert "referral.withdrawn" in withdrawn.output
    assert "referral.offered" in unknown.output
