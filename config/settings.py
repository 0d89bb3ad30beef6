"""Settings of the process: the only reader of the environment.

Every variable begins with ACCORD_. A secret may come as a file instead (`ACCORD_API_TOKEN_FILE=/run/secrets/...`),
which is read once, here. Secrets of connections are `ACCORD_<CONNECTION>_<SECRET>`: the api_key of `stripe-eu` is
ACCORD_STRIPE_EU_API_KEY.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, get_args
from urllib.parse import unquote, urlsplit

from pydantic import Field, PrivateAttr, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from config.section import did_you_mean
from core.errors import ConfigError
from core.model.settings import Address, secret_problem

PREFIX: Final = "ACCORD_"
FILE_SUFFIX: Final = "_FILE"
ENVIRONMENT: Final = "environment"
"""What a ConfigError calls the file it names."""

MAX_SECRET_FILE_BYTES: Final = 65536
SERVERS: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_SECRET_KEY_FILE: Final = f"{PREFIX}SECRET_KEY{FILE_SUFFIX}"

Port = Annotated[int, Field(ge=0, le=65535)]
Host = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


class Settings(BaseSettings):
    """One process's settings; made by `load_settings`, passed down from the composition root."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    config: Path = Path("accord.toml")
    """The file with connections and policy."""
    database_url: SecretStr | None = None
    """SQLAlchemy URL, which may hold a password; unset: a SQLite file beside the config file (`database`)."""
    api_host: Host = "127.0.0.1"
    """Address of registry API and metrics."""
    api_port: Port = 8400
    """0: any free port."""
    api_token: SecretStr | None = None
    """When set, the API asks for it as a bearer token."""
    webhook_host: Host = "127.0.0.1"
    """Address of the webhook receiver, the only part that has to be reachable from outside."""
    webhook_port: Port = 8401
    """0: any free port."""
    public_url: str | None = None
    """How providers reach the webhook receiver; HubSpot signs it, so it must be exact."""
    log_level: LogLevel = "info"
    """The quietest of our own events that is still written."""
    log_format: LogFormat = "auto"
    """`auto`: console on a terminal, else json."""
    secret_key: SecretStr | None = None
    """Encrypts stored secrets (OAuth tokens) at rest; while it is rotated, the new one and the old one."""

    _variables: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _secret_key_file: str | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load_settings` read, and nothing behind its back: tests bring their own environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if Address(example="").fault(value):
            raise ValueError("must be an absolute http(s) URL without query or user, like https://accord.example.com")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _supported(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_database(value.get_secret_value()):
            # not the value itself: it may hold a password
            raise ValueError(
                "must be like sqlite:////var/lib/accord/accord.sqlite3 or postgresql://accord@db.example.com/accord "
                "(a password with / @ or : in it percent-encoded)"
            )
        return value

    @property
    def database(self) -> str:
        """The database's URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.config.absolute().parent / 'var' / 'accord.sqlite3'}"

    @property
    def read_secret_key(self) -> Callable[[], str] | None:
        """How to read the vault's key; one from a file is read anew, since a rotation changes it under a daemon."""
        file, given = self._secret_key_file, self.secret_key
        if file is not None:
            return lambda: _file_content(_SECRET_KEY_FILE, file)
        return given.get_secret_value if given else None

    @property
    def receiver_url(self) -> str:
        """Where a running daemon's webhook receiver listens, unless its port is 0."""
        host = self.webhook_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.webhook_port}"

    def connection_secrets(self, connection: str, names: Iterable[str]) -> dict[str, str]:
        """Those of a connection's secrets (named by its provider's manifest) that the environment holds."""
        found = {name: self._variables.get(secret_variable(connection, name)) for name in names}
        for name, value in found.items():
            if value and (problem := secret_problem(value)):
                raise ConfigError(problem, file=ENVIRONMENT, key=secret_variable(connection, name))
        return {name: value for name, value in found.items() if value}

    def unknown_variables(self, secrets: Mapping[str, Iterable[str]]) -> list[str]:
        """Words for each ACCORD_ variable that nothing reads; `secrets` is connection -> names of its secrets."""
        known = set(own_variables())
        known |= {secret_variable(connection, name) for connection, names in secrets.items() for name in names}
        strangers = sorted(name for name, value in self._variables.items() if value and name not in known)
        return [f"{name} is read by nothing{did_you_mean(name, known)}" for name in strangers]

    @property
    def secret_values(self) -> frozenset[str]:
        """Every secret this process was given, so that the log can mask it wherever it turns up."""
        own = {self.api_token.get_secret_value()} if self.api_token else set()
        own |= set(self.secret_key.get_secret_value().split()) if self.secret_key else set()
        if password := urlsplit(self.database).password:
            # drivers quote it as they use it, and not as it stands in the URL
            own |= {password, unquote(password)}
        ours = own_variables()
        return frozenset(own | {value for name, value in self._variables.items() if name not in ours and value})


def _is_database(url: str) -> bool:
    """A file of SQLite's, or a server of PostgreSQL's. One in memory would forget everything at each start."""
    try:
        parts = urlsplit(url)
        is_addressed = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.scheme == "sqlite":
        return not parts.netloc and parts.path.strip("/") not in ("", ":memory:")
    return parts.scheme in SERVERS and is_addressed


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (the process's own unless given one) once; raises ConfigError naming the variable."""
    given = _ours(os.environ if environ is None else environ)
    variables = _read_files(given)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in variables.items() if value}
    try:
        settings = Settings(**source())
    except ValidationError as error:
        raise _config_error(error) from None
    settings._variables = variables  # noqa: SLF001 - its own loader; the field is private to everyone else
    settings._secret_key_file = given.get(_SECRET_KEY_FILE)  # noqa: SLF001 - the same
    return settings


def secret_variable(connection: str, secret: str) -> str:
    """`stripe-eu`, `api_key` -> `ACCORD_STRIPE_EU_API_KEY`."""
    return f"{PREFIX}{connection}_{secret}".upper().replace("-", "_")


def own_variables() -> frozenset[str]:
    """The variables of Settings itself, which no connection's secret may shadow."""
    return frozenset(f"{PREFIX}{name}".upper() for name in Settings.model_fields)


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    # a line end at the end is of whatever wrote the variable, as it is in a secret's file
    return {name: value.strip() or value for name, value in environ.items() if name.startswith(PREFIX)}


def _read_files(variables: Mapping[str, str]) -> dict[str, str]:
    """Replace every `X_FILE` by `X` with the file's content."""
    found = {name: value for name, value in variables.items() if not name.endswith(FILE_SUFFIX)}
    for name in sorted(variables.keys() - found.keys()):
        target = name.removesuffix(FILE_SUFFIX)
        if target in own_variables() and not _is_secret(target):
            cure = did_you_mean(name, own_variables())
            raise ConfigError(f"only secrets can come from a file{cure}", file=ENVIRONMENT, key=name)
        if found.get(target):
            raise ConfigError(f"{target} is set too; keep one of the two", file=ENVIRONMENT, key=name)
        found[target] = _file_content(name, variables[name])
    return found


def _is_secret(variable: str) -> bool:
    return SecretStr in get_args(Settings.model_fields[variable.removeprefix(PREFIX).lower()].annotation)


def _file_content(name: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_SECRET_FILE_BYTES + 1)
        if len(content) > MAX_SECRET_FILE_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_SECRET_FILE_BYTES} bytes", file=ENVIRONMENT, key=name)
        text = content.decode("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"cannot read {path!r}: {error.strerror}", file=ENVIRONMENT, key=name) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path!r} is not UTF-8 text", file=ENVIRONMENT, key=name) from error
    if not text:
        raise ConfigError(f"{path!r} is empty", file=ENVIRONMENT, key=name)
    return text


def _config_error(error: ValidationError) -> ConfigError:
    """Every mistake, one on a line, the first one named. Values are left out: they may be secrets."""
    mistakes = [
        ConfigError(_said(found["msg"]), file=ENVIRONMENT, key=f"{PREFIX}{found['loc'][0]}".upper())
        for found in error.errors(include_input=False, include_url=False)
    ]
    first, *others = mistakes
    lines = "\n".join([first.problem, *(str(other) for other in others)])
    return ConfigError(lines, file=first.file, key=first.key)


def _said(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
