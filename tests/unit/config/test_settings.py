"""Settings: what the environment may say, and how it is told that it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load_settings, secret_variable
from core.errors import ConfigError


def mistake(environ: dict[str, str]) -> ConfigError:
    """The error that `environ` raises."""
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    return caught.value


def test_an_empty_environment_runs_on_loopback_with_a_file() -> None:
    """The first run needs no variable at all, and opens nothing to the network."""
    settings = load_settings({})

    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 8400)
    assert (settings.webhook_host, settings.webhook_port) == ("127.0.0.1", 8401)
    assert settings.database == f"sqlite:///{Path.cwd() / 'var' / 'accord.sqlite3'}"
    assert settings.config == Path("accord.toml")
    assert settings.api_token is None


def test_the_database_lies_beside_the_config_file() -> None:
    """Started from another directory, the daemon still finds its registry."""
    settings = load_settings({"ACCORD_CONFIG": "/etc/accord/accord.toml"})

    assert settings.database == "sqlite:////etc/accord/var/accord.sqlite3"


def test_variables_are_read_and_typed() -> None:
    """Blank variables, as compose files leave them, count as unset."""
    settings = load_settings(
        {
            "ACCORD_DATABASE_URL": "postgresql+psycopg://accord:pw@db/accord",
            "ACCORD_API_PORT": "0",
            "ACCORD_WEBHOOK_PORT": "",
            "ACCORD_PUBLIC_URL": "https://accord.example.com/",
            "ACCORD_LOG_LEVEL": "DEBUG",
            "ACCORD_API_TOKEN": "t0ken",
            "PATH": "/bin",
        }
    )

    assert settings.database == "postgresql+psycopg://accord:pw@db/accord"
    assert (settings.api_port, settings.webhook_port) == (0, 8401)
    assert settings.public_url == "https://accord.example.com"
    assert settings.log_level == "debug"
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "t0ken"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ACCORD_API_PORT", "eight", "valid integer"),
        ("ACCORD_API_PORT", "70000", "less than or equal to 65535"),
        ("ACCORD_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("ACCORD_PUBLIC_URL", "accord.example.com", "must be an absolute http(s) URL"),
        ("ACCORD_PUBLIC_URL", "https://accord.example.com/?x=1", "without query"),
        ("ACCORD_PUBLIC_URL", "http://[::1", "like https://accord.example.com"),
        ("ACCORD_PUBLIC_URL", "https://me:pw@accord.example.com", "without query or user"),
        ("ACCORD_API_HOST", " ", "at least 1 character"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str, words: str) -> None:
    """The cure is one edit."""
    error = mistake({name: value})

    assert (error.file, error.key) == ("environment", name)
    assert words in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "oracle://accord:canary-6@db/accord",
        "postgresql+asyncpg://accord:canary-6@db/accord",
        "postgresql://accord:canary-6/with-a-slash@db/accord",
        "sqlite",
        "accord.sqlite3",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://accord.sqlite3",
    ],
)
def test_a_database_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    """Each ended in a traceback, or in a registry in memory that the next start had forgotten."""
    error = mistake({"ACCORD_DATABASE_URL": url})

    assert error.key == "ACCORD_DATABASE_URL"
    assert "postgresql://" in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    "url", ["sqlite:////var/accord.sqlite3", "sqlite:///accord.sqlite3", "postgres://db:5432/accord"]
)
def test_a_file_and_a_server_are_databases(url: str) -> None:
    """As SQLAlchemy spells them."""
    assert load_settings({"ACCORD_DATABASE_URL": url}).database == url


def test_all_wrong_variables_are_told_at_once() -> None:
    """Two mistakes cost one restart."""
    error = mistake({"ACCORD_API_PORT": "x", "ACCORD_LOG_FORMAT": "xml"})

    assert [line.split(":")[0] for line in str(error).splitlines()] == [
        "environment [ACCORD_API_PORT]",
        "environment [ACCORD_LOG_FORMAT]",
    ]


def test_secrets_of_a_connection_are_found_by_name() -> None:
    """`stripe-eu` and `stripe-us` have keys of their own."""
    settings = load_settings(
        {"ACCORD_STRIPE_EU_API_KEY": "rk_test_eu", "ACCORD_STRIPE_US_API_KEY": "rk_test_us", "ACCORD_STRIPE_EU_X": ""}
    )

    assert secret_variable("stripe-eu", "api_key") == "ACCORD_STRIPE_EU_API_KEY"
    assert settings.connection_secrets("stripe-eu", ["api_key", "webhook_secret", "x"]) == {"api_key": "rk_test_eu"}
    assert settings.connection_secrets("stripe-us", ["api_key"]) == {"api_key": "rk_test_us"}
    assert settings.connection_secrets("hubspot", ["api_key"]) == {}


def test_a_secret_that_no_header_takes_is_refused_by_its_variable_and_not_repeated() -> None:
    """A key that was copied with a letter of another alphabet ended in a traceback, in the middle of a command."""
    settings = load_settings({"ACCORD_STRIPE_EU_API_KEY": "sk_test_4\u0435C39"})

    with pytest.raises(ConfigError, match="at place 10 of 13; copy it again") as caught:
        settings.connection_secrets("stripe-eu", ["api_key"])

    assert (caught.value.file, caught.value.key) == ("environment", "ACCORD_STRIPE_EU_API_KEY")
    assert "sk_test" not in str(caught.value)


def test_a_secret_comes_from_a_file_without_its_last_line_break(tmp_path: Path) -> None:
    """A container's secret file ends in a line break, which is no part of the secret."""
    (tmp_path / "key").write_text("s3cret\n")
    settings = load_settings(
        {"ACCORD_SECRET_KEY_FILE": str(tmp_path / "key"), "ACCORD_STRIPE_API_KEY_FILE": str(tmp_path / "key")}
    )

    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "s3cret"
    assert settings.connection_secrets("stripe", ["api_key"]) == {"api_key": "s3cret"}


def test_a_line_end_at_the_end_of_a_variable_is_not_of_its_value() -> None:
    """A secret of a container often ends in one; a database was made whose file's name did."""
    settings = load_settings(
        {
            "ACCORD_DATABASE_URL": "sqlite:////tmp/a.sqlite3\n",
            "ACCORD_LOG_LEVEL": "debug\r\n",
            "ACCORD_API_TOKEN": "t0ken\n",
            "ACCORD_STRIPE_API_KEY": " rk_live_1\n",
        }
    )
    assert (settings.database, settings.log_level) == ("sqlite:////tmp/a.sqlite3", "debug")
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "t0ken"
    assert settings.connection_secrets("stripe", ["api_key"]) == {"api_key": "rk_live_1"}


def test_a_secret_file_is_read_once(tmp_path: Path) -> None:
    """A file that vanishes after the start (systemd credentials) must not break a running daemon."""
    path = tmp_path / "key"
    path.write_text("s3cret")
    settings = load_settings({"ACCORD_STRIPE_API_KEY_FILE": str(path)})
    path.unlink()

    assert settings.connection_secrets("stripe", ["api_key"]) == {"api_key": "s3cret"}


def test_a_secret_file_that_cannot_be_used_names_variable_and_path(tmp_path: Path) -> None:
    """The on-call engineer sees which of twelve secrets is missing, and never its content."""
    for content, words in ((b" \n", "is empty"), (b"\xff\xfe", "is not UTF-8"), (b"x" * 65537, "is larger than 65536")):
        (tmp_path / "key").write_bytes(content)
        error = mistake({"ACCORD_STRIPE_API_KEY_FILE": str(tmp_path / "key")})
        assert error.key == "ACCORD_STRIPE_API_KEY_FILE"
        assert words in str(error)

    error = mistake({"ACCORD_API_TOKEN_FILE": str(tmp_path / "none")})
    assert error.key == "ACCORD_API_TOKEN_FILE"
    assert "No such file" in str(error)
    assert "Is a directory" in str(mistake({"ACCORD_API_TOKEN_FILE": str(tmp_path)}))


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """After a rotation nobody knows which of the two is meant."""
    (tmp_path / "key").write_text("new")

    error = mistake({"ACCORD_API_TOKEN": "old", "ACCORD_API_TOKEN_FILE": str(tmp_path / "key")})

    assert error.key == "ACCORD_API_TOKEN_FILE"
    assert "ACCORD_API_TOKEN is set too" in str(error)


def test_a_plain_setting_is_not_read_from_a_file() -> None:
    """ACCORD_CONFIG_FILE=accord.toml is a slip for ACCORD_CONFIG; its content is no path."""
    error = mistake({"ACCORD_CONFIG_FILE": "accord.toml"})

    assert 'did you mean "ACCORD_CONFIG"?' in str(error)


def test_no_secret_is_printed_and_each_is_known_to_the_log(tmp_path: Path) -> None:
    """A settings object in a traceback or an error message gives nothing away."""
    (tmp_path / "key").write_text("canary-4")
    settings = load_settings(
        {
            "ACCORD_SECRET_KEY": "canary-1",
            "ACCORD_API_TOKEN": "canary-2",
            "ACCORD_STRIPE_API_KEY": "canary-3",
            "ACCORD_HUBSPOT_ACCESS_TOKEN_FILE": str(tmp_path / "key"),
            "ACCORD_DATABASE_URL": "postgresql://accord:canary-5@db/accord",
            "ACCORD_LOG_LEVEL": "info",
        }
    )

    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)
    assert settings.secret_values == {f"canary-{number}" for number in range(1, 6)}
    assert "canary" not in str(mistake({"ACCORD_API_PORT": "canary-6"}))


def test_a_variable_that_nothing_reads_is_told() -> None:
    """A misspelled secret otherwise shows as "no key given", hours later and elsewhere."""
    settings = load_settings(
        {"ACCORD_API_PROT": "1", "ACCORD_STRIPE_APIKEY": "x", "ACCORD_STRIPE_API_KEY": "x", "ACCORD_CONFIG": "x"}
    )

    assert settings.unknown_variables({"stripe": ["api_key"]}) == [
        'ACCORD_API_PROT is read by nothing; did you mean "ACCORD_API_PORT"?',
        'ACCORD_STRIPE_APIKEY is read by nothing; did you mean "ACCORD_STRIPE_API_KEY"?',
    ]


def test_settings_cannot_be_changed_afterwards() -> None:
    """What was checked at the start is what runs."""
    settings = load_settings({})

    with pytest.raises(ValueError, match="frozen"):
        settings.api_port = 1  # type: ignore[misc]  # it is frozen, as is tested
