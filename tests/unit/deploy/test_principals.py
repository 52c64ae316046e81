"""How confluent-kafka is told of an access."""

from pathlib import Path

from pydantic import SecretStr

from deploy.principals import librdkafka
from shared.kafka_access import KafkaAccess

ACCESS = KafkaAccess(kafka_bootstrap="kafka:9092", kafka_sasl_username="admin", kafka_sasl_password=SecretStr("secret"))


def test_without_an_authority_of_its_own_the_system_s_count() -> None:
    assert "ssl.ca.location" not in librdkafka(ACCESS)
    assert librdkafka(ACCESS.model_copy(update={"kafka_ca": Path("/ca.pem")}))["ssl.ca.location"] == "/ca.pem"
