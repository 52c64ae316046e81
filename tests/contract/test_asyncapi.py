"""The AsyncAPI documents hold together, say what really travels, and are the same wherever they are asked for."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import typer
from contract_samples import samples_of
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from signing import sign_in, signed
from typer.testing import CliRunner

from shared.asyncapi import asyncapi
from shared.contracts import BY_TYPE, CONTRACTS, Contract
from shared.contracts.base import new_id
from shared.contracts.partners import ReplyAccepted
from shared.envelope import Cause, headers_of, source_of
from shared.pipeline.engine import utc_now
from shared.pipeline.outbox import row_of
from shared.topics import SERVICES
from shared.web.roles import Role
from wegweiser import contracts as command

Document = dict[str, Any]

RECEIVED: Final = {
    "intake": {"routing.referrals.v1": "intake"},
    "routing": {
        "intake.cases.v1": "routing",
        "scheduling.appointments.v1": "routing",
        "partner.{partnerId}.replies.v1": "routing-replies",
    },
    "scheduling": {"partner.{partnerId}.referrals.v1": "scheduling"},
    "notify": {"scheduling.appointments.v1": "notify"},
}


def printed(*whose: str) -> Document:
    """What the command prints."""
    app = typer.Typer()
    app.command()(command.asyncapi)
    result = CliRunner().invoke(app, whose)
    assert result.exit_code == 0, result.output
    document: Document = json.loads(result.stdout)
    return document


DOCUMENTS: Final = {service: printed(service) for service in SERVICES}

PARTNER: Final = printed("partner", "vhs")

of_each_service = pytest.mark.parametrize(("service", "document"), DOCUMENTS.items(), ids=SERVICES)
of_everybody = pytest.mark.parametrize("document", [*DOCUMENTS.values(), PARTNER], ids=[*SERVICES, "partner"])


def resolved(document: Document, reference: str) -> Any:
    """What a reference within the document names."""
    assert reference.startswith("#/")
    node: Any = document
    for key in reference[2:].split("/"):
        node = node[key]
    return node


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def operations(document: Document, action: str) -> list[Document]:
    return [operation for operation in document["operations"].values() if operation["action"] == action]


def messages(document: Document, action: str) -> list[str]:
    """The types of what is sent or received, repetitions included."""
    return [
        resolved(document, resolved(document, message["$ref"])["$ref"])["name"]
        for operation in operations(document, action)
        for message in operation["messages"]
    ]


def validate(document: Document, part: str, value: object) -> None:
    """Check a value against a schema inside the document."""
    Draft7Validator({**document, "$ref": part}).validate(value)


@of_everybody
def test_every_reference_leads_somewhere(document: Document) -> None:
    assert [resolved(document, reference) for reference in references(document)]


@of_everybody
def test_operations_use_the_messages_of_their_own_channel(document: Document) -> None:
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"]

        assert re.fullmatch(r"#/channels/[a-z0-9.-]+", channel)
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


@of_everybody
def test_a_channel_lists_what_is_sent_or_received_there_and_no_more(document: Document) -> None:
    used = {message["$ref"] for operation in document["operations"].values() for message in operation["messages"]}

    listed = {
        f"#/channels/{name}/messages/{message}"
        for name, channel in document["channels"].items()
        for message in channel["messages"]
    }

    assert listed == used


@of_each_service
def test_every_contract_of_the_service_is_sent_once(service: str, document: Document) -> None:
    own = [contract.type for contract in CONTRACTS if contract.publisher in (service, "every service")]

    assert Counter(messages(document, "send")) == Counter(own)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
def test_every_contract_is_in_some_document(contract: Contract) -> None:
    assert any(contract.type in document["components"]["messages"] for document in DOCUMENTS.values())


@of_each_service
def test_what_is_received_names_its_topic_and_group(service: str, document: Document) -> None:
    found = {
        resolved(document, operation["channel"]["$ref"])["address"]: operation["bindings"]["kafka"]["groupId"]["enum"]
        for operation in operations(document, "receive")
    }

    assert found == {topic: [group] for topic, group in RECEIVED[service].items()}


@of_each_service
def test_a_service_receives_nothing_it_sends(service: str, document: Document) -> None:
    assert not set(messages(document, "receive")) & set(messages(document, "send"))


@of_everybody
def test_the_parameters_of_an_address_are_described(document: Document) -> None:
    for channel in document["channels"].values():
        named = re.findall(r"\{(\w+)\}", channel["address"])

        assert named == list(channel.get("parameters", {}))
        assert all(parameter["description"] for parameter in channel.get("parameters", {}).values())


def test_dead_letters_go_to_the_service_s_own_topic() -> None:
    for service, document in DOCUMENTS.items():
        assert document["channels"][f"{service}.dead-letters.v1"]["address"] == f"{service}.dead-letters.v1"


@pytest.mark.parametrize(
    ("service", "type_"),
    [(service, type_) for service, document in DOCUMENTS.items() for type_ in messages(document, "send")],
)
@settings(max_examples=3)
@given(data=st.data())
def test_what_a_service_writes_is_what_its_document_says(service: str, type_: str, data: st.DataObject) -> None:
    document, contract = DOCUMENTS[service], BY_TYPE[type_]
    row = row_of(data.draw(samples_of(contract.event)), Cause.begin(), 0, None, 1, utc_now())
    message = f"#/components/messages/{contract.type}"

    headers = {name: value.decode() for name, value in headers_of(row, source_of(service))}

    validate(document, f"{message}/headers", headers)
    validate(document, f"{message}/payload", json.loads(row["data"]))
    validate(document, f"{message}/bindings/kafka/key", row["subject"])
    assert set(resolved(document, f"{message}/headers")["required"]) == set(headers)


def test_a_partner_owes_only_what_cloudevents_asks_for() -> None:
    reply = "de.integrationsbuero.reply.accepted.v1"
    headers = {"ce_specversion": "1.0", "ce_id": "reply 7", "ce_source": "/partner/awo", "ce_type": reply}

    validate(DOCUMENTS["routing"], f"#/components/messages/{reply}/headers", headers)
    validate(DOCUMENTS["routing"], f"#/components/messages/{reply}/payload", {"referral_id": new_id()})


def test_a_partner_s_document_names_its_own_topics_and_no_other() -> None:
    addresses = {
        action: {
            resolved(PARTNER, operation["channel"]["$ref"])["address"] for operation in operations(PARTNER, action)
        }
        for action in ("receive", "send")
    }

    assert addresses == {
        "receive": {"partner.vhs.referrals.v1", "sandbox.vhs.referrals.v1"},
        "send": {"partner.vhs.replies.v1", "sandbox.vhs.replies.v1"},
    }


def test_a_partner_s_document_has_all_it_receives_and_sends_and_nothing_else() -> None:
    own = [contract.type for contract in CONTRACTS if contract.topic.startswith("partner.{partner_id}.")]

    assert sorted(PARTNER["components"]["messages"]) == sorted(own)
    assert set(messages(PARTNER, "receive")) | set(messages(PARTNER, "send")) == set(own)
    assert not set(messages(PARTNER, "receive")) & set(messages(PARTNER, "send"))


def test_a_partner_s_document_says_how_to_sign_in_and_which_groups_are_its_own() -> None:
    [scheme] = PARTNER["servers"]["kafka"]["security"]

    assert resolved(PARTNER, scheme["$ref"])["type"] == "scramSha512"
    for operation in operations(PARTNER, "receive"):
        assert re.match(operation["bindings"]["kafka"]["groupId"]["pattern"], "vhs.anything")


@pytest.mark.parametrize(
    ("whose", "code"),
    [
        (["partner"], 2),
        (["intake", "awo"], 2),
        (["nobody"], 2),
        (["partner", "AWO"], 1),
        (["partner", "*"], 1),
        (["partner", "gateway"], 1),
        (["partner", "nobody"], 1),
    ],
)
def test_whoever_there_is_no_document_for_is_told(whose: list[str], code: int) -> None:
    app = typer.Typer()
    app.command()(command.asyncapi)

    assert CliRunner().invoke(app, whose).exit_code == code


@of_everybody
def test_a_document_is_one_of_asyncapi_3(document: Document) -> None:
    """The schema is the AsyncAPI Initiative's, from the npm package @asyncapi/specs 6.11.1 (Apache-2.0)."""
    schema = json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text())

    Draft7Validator(schema).validate(document)


@pytest.mark.parametrize("type_", PARTNER["components"]["messages"])
def test_a_partner_s_document_has_an_example_of_each_message_of_its_own(type_: str) -> None:
    message = f"#/components/messages/{type_}"

    [example] = resolved(PARTNER, message)["examples"]

    validate(PARTNER, f"{message}/payload", example["payload"])
    assert example["payload"].get("partner_id", "vhs") == "vhs"


def test_a_partner_s_replies_come_from_the_partner() -> None:
    sources = {
        type_: resolved(PARTNER, f"#/components/messages/{type_}")["headers"]["properties"]["ce_source"]
        for type_ in messages(PARTNER, "send")
    }

    assert set(map(json.dumps, sources.values())) == {json.dumps({"type": "string", "const": "/partner/vhs"})}


def test_what_no_subscription_reads_has_no_group() -> None:
    """The proof that the groups above follow from the subscriptions."""
    document = asyncapi("routing", [ReplyAccepted], [])

    [operation] = operations(document, "receive")
    assert operation["bindings"]["kafka"]["groupId"]["enum"] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_serves_the_document_the_command_prints(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "MONGO_URL": "mongodb://127.0.0.1:9",
        "INTAKE_URL": "http://127.0.0.1:9",
        "MAIL_FROM": "office@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    app = import_module(f"services.{service}.app").create_app()
    app.state.sign_in = sign_in()

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        answer = await client.get("/asyncapi.json", headers=signed(Role.OPERATOR))

    assert answer.status_code == 200
    assert answer.json() == DOCUMENTS[service]
