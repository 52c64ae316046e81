"""What partners and the gateway are handed: passwords, and the files that tell of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from deploy.secrets import Secrets, client_file, password_file, write_private
from deploy.setting_files import write_settings
from shared.kafka_access import KafkaAccess
from shared.rights import gateway_user

CREDENTIALS: Final = "partners"
"""The folder with a file for each partner, which is to be handed over to it."""
GATEWAY_FOLDER: Final = "gateway"
"""The folder with a file for each partner, which only the gateway reads."""
_MECHANISM: Final = "SCRAM-SHA-512"
"""What `admit` makes passwords for; an administrator elsewhere may sign in otherwise."""


class Handover:
    """The passwords of partners' users, kept among the secrets, and the files with them in a folder."""

    def __init__(
        self, admin: KafkaAccess, secrets: Secrets, folder: Path, told: Mapping[str, str], *, makes_clients: bool
    ) -> None:
        """`told` is what every partner is told besides its own, `makes_clients` whether the issuer of tokens takes the
        secrets that are made here."""
        self._admin = admin
        self._secrets = secrets
        self._folder = folder
        self._told = told
        self._makes_clients = makes_clients

    def credentials(self, id_: str) -> Path:
        """The file that is handed over to the partner."""
        return self._folder / CREDENTIALS / f"{id_}.env"

    def of_gateway(self, id_: str) -> Path:
        """The file that tells the gateway as whom it acts for the partner."""
        return self._folder / GATEWAY_FOLDER / f"{id_}.env"

    def memory(self, id_: str) -> Path:
        """The file that names the newest user; apart from the credentials, which are often moved, not copied."""
        return self._secrets.folder / f"newest-{id_}"

    def newest(self, id_: str) -> str | None:
        """The user whose password was handed over last, None where none was."""
        said = self._secrets.known(self.memory(id_).name)
        return said and said.strip()

    def tell(self, id_: str, user: str) -> None:
        """Write the credentials of this user, its newest from now on.

        The authority's certificate goes beside them: the folder of secrets is not the partner's to read.
        """
        self._secrets.keep(self.memory(id_).name, user)
        access, folder = self.access_of(user), self.credentials(id_).parent.absolute()
        if access.kafka_ca is not None:
            write_private(folder / access.kafka_ca.name, access.kafka_ca.read_text())
            access = access.model_copy(update={"kafka_ca": folder / access.kafka_ca.name})
        settings = {"PARTNER_ID": id_, **access.environment, **self._told}
        if self._makes_clients:
            settings |= {"OIDC_CLIENT_ID": user, "OIDC_CLIENT_SECRET": self._secrets.password(client_file(user))}
        write_settings(self.credentials(id_), settings)

    def tell_gateway(self, id_: str) -> None:
        """Write what the gateway has to know to act for the partner."""
        write_settings(self.of_gateway(id_), self.access_of(gateway_user(id_)).environment)

    def access_of(self, user: str) -> KafkaAccess:
        """How a partner's user reaches Kafka; its password is made when it is first asked for."""
        password = SecretStr(self._secrets.password(password_file(user)))
        own = {"kafka_sasl_mechanism": _MECHANISM, "kafka_sasl_username": user, "kafka_sasl_password": password}
        return self._admin.model_copy(update=own)

    def renew(self, user: str) -> None:
        """Other secrets for this user, from now on."""
        self._secrets.renew(password_file(user))
        if self._makes_clients:
            self._secrets.renew(client_file(user))

    def secrets_of(self, user: str) -> list[Path]:
        """The files with secrets of this user."""
        files = (self._secrets.folder / name for name in (password_file(user), client_file(user)))
        return [file for file in files if file.exists()]
