"""How a client reaches Kafka and who it is there: one value, made of settings, that every client is built from."""

import ssl
from pathlib import Path
from typing import Any, Final, Literal, Self

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

Protocol = Literal["SASL_SSL", "PLAINTEXT"]

_PATIENCE_MS: Final = 5000


class KafkaAccess(BaseModel):
    """Each field is the setting of the same name. `kafka_ca` is the authority that the brokers' certificates come from,
    as a PEM file; without it the system's authorities count."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kafka_bootstrap: str
    kafka_security_protocol: Protocol = "SASL_SSL"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca: Path | None = None

    @model_validator(mode="after")
    def _signs_in(self) -> Self:
        if self.kafka_security_protocol != "PLAINTEXT" and not (self.kafka_sasl_username and self.kafka_sasl_password):
            raise ValueError("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What aiokafka's clients take. Raises `OSError` where the authority's file cannot be read."""
        return {"bootstrap_servers": self.kafka_bootstrap, **self._sign_in()}

    @property
    def environment(self) -> dict[str, str]:
        """The same as settings for a process."""
        access = self.model_dump(exclude={"kafka_sasl_password"}, exclude_none=True)
        if self.kafka_sasl_password is not None:
            access["kafka_sasl_password"] = self.kafka_sasl_password.get_secret_value()
        return {name.upper(): str(value) for name, value in access.items()}

    async def refusal(self) -> str | None:
        """Why no connection comes about, in words; None where one does. The clients' own errors do not tell."""
        host, port, _ = collect_hosts(self.kafka_bootstrap)[0]
        broker = f"{host}:{port}"
        try:
            connection = await create_conn(host, port, request_timeout_ms=_PATIENCE_MS, **self._sign_in())
        except ssl.SSLCertVerificationError as error:
            return f"the certificate of {broker} is refused: {error.verify_message}"
        except ssl.SSLError as error:
            return f"{broker} does not speak TLS as expected: {error.reason}"
        except SaslAuthenticationFailed:
            return f"{broker} refuses the password of {self.kafka_sasl_username}"
        except (UnsupportedSaslMechanismError, IllegalSaslStateError):
            return f"{broker} does not let anybody sign in by {self.kafka_sasl_mechanism}"
        except FileNotFoundError:
            return f"KAFKA_CA: {self.kafka_ca} is not there"
        except (OSError, KafkaError, TimeoutError) as error:
            return f"{broker} does not answer ({type(error).__name__})"
        await connection.close()
        return None

    def _sign_in(self) -> dict[str, Any]:
        if self.kafka_security_protocol == "PLAINTEXT":
            return {"security_protocol": "PLAINTEXT"}
        assert self.kafka_sasl_password is not None, "the settings have checked this"
        return {
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": ssl.create_default_context(cafile=self.kafka_ca),
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_username,
            "sasl_plain_password": self.kafka_sasl_password.get_secret_value(),
        }
