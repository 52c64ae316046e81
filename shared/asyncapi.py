"""AsyncAPI 3.0: what one service or one partner sends and receives, made from the registry of contracts.

FastStream's own document shows a pattern subscriber as a regular expression with an empty payload, hence this one.
Sources: AsyncAPI 3.0.0 and its Kafka bindings 0.5.0; CloudEvents 1.0, Kafka protocol binding.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from inspect import getdoc
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from shared.contracts import CONTRACTS, Contract, Event
from shared.contracts.base import PARTNER_PATTERN, UUID_PATTERN
from shared.contracts.schemas import ContractSchema, schema_of
from shared.envelope import TRACEPARENT, source_of, source_of_partner
from shared.pipeline.reading import Subscription
from shared.topics import partner_topics, sandbox_topics

Node = dict[str, Any]
Addresses = Callable[[Contract], Sequence[str]]
"""The topics that carry a contract's events."""

_BINDINGS: Final = "0.5.0"
_PARTNER: Final = "partner"
_EVERY_SERVICE: Final = "every service"
_SERVER: Final[Node] = {
    "host": "{bootstrap}",
    "protocol": "kafka-secure",
    "security": [{"$ref": "#/components/securitySchemes/scram"}],
    "description": "The bus. Topics are provisioned, not created by who reads or writes them.",
    "variables": {"bootstrap": {"description": "Addresses of the brokers: the setting KAFKA_BOOTSTRAP."}},
}
_SCRAM: Final[Node] = {"type": "scramSha512", "description": "A user and a password of one's own, over TLS (SASL_SSL)."}
_PARTNER_ID: Final[Node] = {
    "description": f"Id of the partner the topic belongs to, as in the agreement: `{PARTNER_PATTERN}`.",
    "examples": ["awo"],
}
_ATTRIBUTES_A_PARTNER_OWES: Final = ("ce_specversion", "ce_id", "ce_source", "ce_type")


def asyncapi(service: str, receives: Collection[type[Event]], subscriptions: Iterable[Subscription]) -> Node:
    """The document of a service that reacts to the events `receives`, which it reads by `subscriptions`."""
    sent = [contract for contract in CONTRACTS if contract.publisher in (service, _EVERY_SERVICE)]
    received = [contract for contract in CONTRACTS if contract.event in receives]
    read = list(subscriptions)

    def addresses(contract: Contract) -> Sequence[str]:
        return [contract.topic.replace("{service}", service).replace("{partner_id}", "{partnerId}")]

    replies_from = _text(pattern=f"^/partner/{PARTNER_PATTERN.strip('^$')}$")
    return _document("service", service, replies_from, sent, received, addresses, lambda address: _group(address, read))


def asyncapi_of_partner(partner_id: str) -> Node:
    """The document for one partner's software: what it receives and sends, on its own topics and in its sandbox."""
    queues, replies = zip(partner_topics(partner_id), sandbox_topics(partner_id), strict=True)
    sent = [contract for contract in CONTRACTS if contract.publisher == _PARTNER]
    received = [contract for contract in CONTRACTS if contract.belongs_on(queues[0].name)]

    def addresses(contract: Contract) -> Sequence[str]:
        return [topic.name for topic in (replies if contract.publisher == _PARTNER else queues)]

    group = _text(pattern=f"^{partner_id}\\.")
    replies_from = _text(const=source_of_partner(partner_id))
    return _document(_PARTNER, partner_id, replies_from, sent, received, addresses, lambda _: group)


def _document(
    kind: str,
    name: str,
    replies_from: Node,
    sent: Sequence[Contract],
    received: Sequence[Contract],
    addresses: Addresses,
    group_of: Callable[[str], Node],
) -> Node:
    receiving = _by_address(addresses, received)
    sending = _by_address(addresses, sent)
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:integrationsbuero:{kind}:{name}",
        "info": {
            "title": f"integrationsbuero {name}",
            "version": version("integrationsbuero"),
            "license": {"name": "EUPL-1.2"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _SERVER},
        "channels": _channels(_by_address(addresses, [*sent, *received])),
        "operations": {
            **{f"send.{_channel(address)}": _operation("send", address, some) for address, some in sending.items()},
            **{
                f"receive.{_channel(address)}": _operation("receive", address, some)
                | {"bindings": {"kafka": {"groupId": group_of(address), "bindingVersion": _BINDINGS}}}
                for address, some in receiving.items()
            },
        },
        "components": {
            "messages": {contract.type: _message(name, contract, replies_from) for contract in (*sent, *received)},
            "schemas": _payloads([*sent, *received]),
            "securitySchemes": {"scram": _SCRAM},
        },
    }


def _channel(address: str) -> str:
    """A channel's name in the document, where braces would stand in references."""
    return address.replace("{partnerId}.", "")


def _by_address(addresses: Addresses, contracts: Iterable[Contract]) -> Mapping[str, list[Contract]]:
    grouped: defaultdict[str, list[Contract]] = defaultdict(list)
    for contract in contracts:
        for address in addresses(contract):
            grouped[address].append(contract)
    return grouped


def _channels(by_address: Mapping[str, Iterable[Contract]]) -> Node:
    channels: Node = {}
    for address, carried in by_address.items():
        channel = channels[_channel(address)] = {
            "address": address,
            "messages": {contract.type: {"$ref": f"#/components/messages/{contract.type}"} for contract in carried},
        }
        if "{partnerId}" in address:
            channel["parameters"] = {"partnerId": _PARTNER_ID}
    return channels


def _operation(action: str, address: str, contracts: Iterable[Contract]) -> Node:
    channel = f"#/channels/{_channel(address)}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{contract.type}"} for contract in contracts],
    }


def _group(address: str, subscriptions: Iterable[Subscription]) -> Node:
    topic = address.replace("{partnerId}", "partner")
    return {"type": "string", "enum": [sub.group for sub in subscriptions if re.match(sub.pattern, topic)]}


def _message(service: str, contract: Contract, replies_from: Node) -> Node:
    return {
        "name": contract.type,
        "title": contract.event.__name__,
        "summary": getdoc(contract.event),
        "contentType": "application/json",
        "headers": _headers(service, contract, replies_from),
        "payload": {"$ref": f"#/components/schemas/{contract.event.__name__}"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": _key(contract), "bindingVersion": _BINDINGS}},
    }


def _headers(service: str, contract: Contract, replies_from: Node) -> Node:
    """The headers of a record in binary mode. A partner owes the least that CloudEvents asks for."""
    is_partners = contract.publisher == _PARTNER
    publisher = service if contract.publisher == _EVERY_SERVICE else contract.publisher
    properties = {
        "ce_specversion": _text(const="1.0"),
        "ce_id": _text(minLength=1, maxLength=200) if is_partners else _text(pattern=UUID_PATTERN),
        "ce_source": replies_from if is_partners else _text(const=source_of(publisher)),
        "ce_type": _text(const=contract.type),
        "ce_subject": _key(contract),
        "ce_time": _text(format="date-time"),
        "ce_dataschema": _text(const=contract.schema),
        "content-type": _text(const="application/json"),
        "ce_sequence": _text(const="0") if contract.apart else _text(pattern="^[0-9]{1,18}$"),
        "ce_correlationid": _text(pattern=UUID_PATTERN),
        "ce_causationid": _text(pattern=UUID_PATTERN),
        "ce_traceparent": _text(pattern=TRACEPARENT.pattern),
    }
    required = _ATTRIBUTES_A_PARTNER_OWES if is_partners else tuple(properties)
    return {"type": "object", "properties": properties, "required": list(required)}


def _key(contract: Contract) -> Node:
    """What a record's key may be: the values of the field that it is."""
    key: Node = schema_of(contract)["properties"][contract.subject]
    return key


def _text(**constraints: str | int) -> Node:
    return {"type": "string", **constraints}


def _payloads(contracts: Iterable[Contract]) -> Node:
    """The payloads and what they are made of; side by side, since AsyncAPI knows no `$defs`."""
    _, together = models_json_schema(
        [(contract.event, "validation") for contract in contracts],
        ref_template="#/components/schemas/{model}",
        schema_generator=ContractSchema,
    )
    schemas: Node = together["$defs"]
    return schemas
