"""`accord init`: a first accord.toml, from flags and by asking; nothing of it half written."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest

import run_daemon
from config.file import load_config
from core.cli.desk import Desk
from core.cli.init_choices import ARCHIVES, CREATES, ENTERS, Flags
from core.cli.init_file import write_first
from core.errors import InvalidInputError
from core.model.documents import KINDS
from core.model.policy import ConnectionPolicy, DocumentPolicy
from tests.integration.cli.conftest import Accord
from tests.support.root import WorldRoot
from tests.support.world import PROVIDERS

BOTH = ("--connection", "stripe-eu=stripe", "--connection", "books=quickbooks")


@pytest.fixture
def file(root: WorldRoot, tmp_path: Path) -> Path:
    """Where accord.toml is to stand."""
    root.file = tmp_path / "folder" / "accord.toml"
    root.file.parent.mkdir()
    return root.file


def read(file: Path) -> Any:
    """As the daemon reads it."""
    return load_config(file, {name: one.manifest for name, one in PROVIDERS.items()})


def test_what_is_left_out_is_the_cautious_choice(accord: Accord, file: Path) -> None:
    """Nobody enters, nobody is created, nobody is linked by e-mail because somebody pressed Enter."""
    result = accord("init", *BOTH, "--yes", "--json")
    assert (result.code, result.json["file"]) == (0, str(file))
    scopes = read(file).policy.connections
    assert scopes["stripe-eu"] == ConnectionPolicy(name="stripe-eu", provider="stripe")
    assert scopes["books"] == ConnectionPolicy(name="books", provider="quickbooks")


def test_every_option_reaches_the_file(accord: Accord, file: Path) -> None:
    """And its own connection only."""
    options = [
        *("--originates", "stripe-eu=invoice,payment", "--mirrors", "books=invoice", "--since", "books=2026-02-01"),
        *("--mints", "stripe-eu", "--creates", "books=all", "--enters", "books=none", "--match-email", "books"),
        *("--external-id", "stripe-eu=metadata.customer_né", "--when-archived", "books=archive"),
        *("--setting", "books.realm_id=91", "--setting", 'books.base_url=https://x.test/"\\'),
    ]
    assert accord("init", *BOTH, *options, "--yes").code == 0
    config = read(file)
    scopes = config.policy.connections
    assert (scopes["stripe-eu"].enters, scopes["stripe-eu"].creates) == ("all", "none")
    assert scopes["stripe-eu"].external_id_field == "metadata.customer_né"
    assert (scopes["stripe-eu"].when_archived, scopes["books"].when_archived) == ("leave", "archive")
    assert (scopes["books"].enters, scopes["books"].creates, scopes["books"].match_email) == ("none", "all", True)
    assert scopes["stripe-eu"].documents == DocumentPolicy(originates=("invoice", "payment"))
    assert scopes["books"].documents == DocumentPolicy(mirrors=("invoice",), since="2026-02-01")
    assert config.connections["books"].settings == {"realm_id": "91", "base_url": 'https://x.test/"\\'}


def test_the_file_explains_itself_and_the_next_commands_are_told(accord: Accord, file: Path) -> None:
    """Whoever opens it in a year has no other page at hand."""
    shown = accord("init", *BOTH, "--mints", "stripe-eu", "--yes").out
    text = file.read_text(encoding="utf-8")
    assert ENTERS["all"] in text
    assert CREATES["none"] in text
    for line in ("accord connect stripe-eu", "accord sync books --dry-run", "accord activate books", "accord run"):
        assert line in shown
    variables = accord("--json", "init", *BOTH, "--force", "--yes").json["variables"]
    assert variables["stripe-eu"]["api_key"] == "ACCORD_STRIPE_EU_API_KEY"


def test_a_file_that_is_there_stays_unless_force_is_said(accord: Accord, file: Path) -> None:
    """Somebody's policy is hours of work."""
    file.write_text("# mine\n")
    refused = accord("init", *BOTH, "--yes", "--json")
    assert (refused.code, file.read_text()) == (1, "# mine\n")
    assert "--force" in refused.error["cure"]
    assert accord("init", *BOTH, "--yes", "--force").code == 0
    assert set(tomllib.loads(file.read_text())["connections"]) == {"stripe-eu", "books"}


def test_a_place_that_cannot_be_looked_at_is_told(accord: Accord, root: WorldRoot, file: Path) -> None:
    """A name that is too long, or in a folder that may not be entered, ended in a traceback."""
    root.file = file.with_name("x" * 300)
    refused = accord("init", *BOTH, "--yes", "--json")
    assert (refused.code, "cannot be written: File name too long" in refused.error["problem"]) == (1, True)


def test_a_link_stays_a_link_to_the_file_that_is_overwritten(accord: Accord, file: Path, tmp_path: Path) -> None:
    """A file took the link's place, and the one it led to stayed as it was."""
    kept = tmp_path / "kept.toml"
    kept.write_text("# mine\n")
    kept.chmod(0o640)
    file.symlink_to(kept)
    assert accord("init", *BOTH, "--yes").code == 1
    assert kept.read_text() == "# mine\n"
    assert accord("init", *BOTH, "--yes", "--force").code == 0
    assert (file.is_symlink(), kept.stat().st_mode & 0o777) == (True, 0o640)
    assert set(tomllib.loads(kept.read_text())["connections"]) == {"stripe-eu", "books"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--connection"),
        (("--mints", "stripe-eu"), "--mints"),
        ((*BOTH, "--mints", "other"), "--mints"),
        ((*BOTH, "--mints", "stripe-eu", "--enters", "stripe-eu=none"), "--enters"),
        ((*BOTH, "--enters", "books=filter"), "edit the file afterwards"),
        ((*BOTH, "--creates", "books=some"), "all | none"),
        ((*BOTH, "--enters", "books"), "NAME=WHO"),
        ((*BOTH, "--when-archived", "stripe-eu=archive"), "Stripe can only delete a customer"),
        ((*BOTH, "--when-archived", "books=delete"), "leave | archive"),
        ((*BOTH, "--originates", "stripe-eu=invoices"), "Stripe makes invoice, payment, credit_note; or all"),
        ((*BOTH, "--originates", "other=all"), "there is no connection 'other'"),
        (("--connection", "crm=hubspot", "--originates", "crm=all"), "(limit: HubSpot makes none); leave it out"),
        ((*BOTH, "--mirrors", "books=all"), "no invoice comes from stripe-eu"),
        ((*BOTH, "--originates", "stripe-eu=all", "--mirrors", "books=all"), "needs deposit_account"),
        ((*BOTH, "--since", "books=2026-01-01"), "has no effect without mirrors"),
        ((*BOTH, "--connection", "books=stripe"), "twice"),
        (("--connection", "a=stripes"), "hubspot, quickbooks, stripe"),
        (("--connection", "stripe=hubspot"), "rename the connection"),
        (("--connection", "Große=stripe"), "a-z, 0-9"),
        (("--connection", 'a"]\n[x=stripe'), "a-z, 0-9"),
        ((*BOTH, "--external-id", "books=metadata.x"), "no place for an external id"),
        ((*BOTH, "--setting", "stripe-eu.api_key=sk_live_1"), "keep it out of this file"),
        ((*BOTH, "--setting", "books=sk"), "is not known here"),
        ((*BOTH, "--setting", "stripe-eu.base_url=a\udcff"), "UTF-8"),
    ],
)
def test_what_would_be_refused_is_not_written(accord: Accord, file: Path, options: tuple[str, ...], told: str) -> None:
    """Not even half of it; the words are those of the daemon's own loader."""
    result = accord("init", *options, "--yes")
    assert (result.code, result.out) == (1, "")
    assert told in result.err
    assert list(file.parent.iterdir()) == []


def test_where_nobody_can_be_asked_nothing_is_written_without_yes(accord: Accord, file: Path) -> None:
    """What would be written is shown all the same."""
    result = accord("init", *BOTH)
    assert result.code == 1
    assert "say --yes" in result.err
    assert ENTERS["marked"] in result.err
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("place", ["", "nowhere/accord.toml"])
def test_a_place_that_cannot_be_written_is_told(accord: Accord, root: WorldRoot, file: Path, place: str) -> None:
    """A folder, or a file in a folder that is not there."""
    root.file = file.parent / place
    result = accord("init", *BOTH, "--yes", "--force")
    assert result.code == 1
    assert str(root.file) in result.err
    assert list(file.parent.iterdir()) == []


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def answering(root: WorldRoot, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A person at a terminal who answers line by line; returns what they were shown."""

    def run(*answers: str) -> str:
        typed, shown = _Terminal("".join(f"{one}\n" for one in answers)), _Terminal()
        monkeypatch.setattr("sys.stdin", typed)
        desk = Desk(root, (typed, io.StringIO(), shown))
        assert write_first(desk, Flags(), force=False, yes=False) == 0
        return shown.getvalue()

    return run


@pytest.mark.parametrize("force", [True, False])
def test_two_side_by_side_write_each_their_own(
    root: WorldRoot, accord: Accord, file: Path, monkeypatch: pytest.MonkeyPatch, *, force: bool
) -> None:
    """They shared one draft: what one had asked and checked was gone, or the other one's, when it was put in place."""

    class Slow(_Terminal):
        def readline(self, *_: Any) -> str:  # type: ignore[override]  # as the others of StringIO
            assert accord("init", "--connection", "crm=hubspot", "--yes").code == 0
            return "y\n"

    typed = Slow()
    monkeypatch.setattr("sys.stdin", typed)
    desk = Desk(root, (typed, io.StringIO(), _Terminal()))
    flags = Flags(connections=["pay=stripe"])
    if force:
        assert write_first(desk, flags, force=True, yes=False) == 0
    else:
        with pytest.raises(InvalidInputError, match="is there already"):
            write_first(desk, flags, force=False, yes=False)
    assert set(read(file).connections) == {"pay" if force else "crm"}
    assert list(file.parent.iterdir()) == [file]


def test_a_person_is_asked_in_plain_words(answering: Any, file: Path) -> None:
    """Wrong answers are asked again; what each choice means stands beside it."""
    accounts = ("n", "n", "y", "", "y", "", "stripe-us", "n")
    shown = answering(
        *accounts, "stripes", "stripe-us", "", "", "n", "", "", "some", "all", "y", "metadata.no", "", "y"
    )
    for meaning in (*ENTERS.values(), *CREATES.values()):
        assert meaning in shown
    assert "'stripes' is none of stripe, stripe-us" in shown
    scopes = read(file).policy.connections
    plain, minting = scopes["stripe"], scopes["stripe-us"]
    assert (plain.enters, plain.creates, plain.match_email, plain.external_id_field) == ("marked", "none", False, None)
    assert (minting.enters, minting.creates, minting.match_email) == ("all", "all", True)
    assert minting.external_id_field == "metadata.no"


BILLED = ("n", "y", "books", "n", "y", "stripe-eu", "n", "stripe-eu", *("", "", "") * 2, "", "")
"""Books and an account at Stripe, with nothing but defaults."""


def test_a_person_is_asked_who_bills_and_who_gets_copies(answering: Any, file: Path) -> None:
    """Since when, on which account and which item: what copies would be held for is asked before."""
    days = ("soon", "2026-01-01")
    shown = answering(*BILLED, "y", "n", "y", "y", "1", "35", *days, "y")
    assert "mirrors invoice, payment, credit_note issued since 2026-01-01" in shown
    config = read(file)
    assert config.policy.connections["stripe-eu"].documents.originates == KINDS
    books = config.policy.connections["books"].documents
    assert (books.mirrors, books.since, books.originates) == (KINDS, "2026-01-01", ())
    assert config.connections["books"].settings == {"deposit_account": "35", "default_item": "1"}


def test_without_an_account_for_payments_the_others_are_copied(answering: Any, file: Path) -> None:
    """The file would be refused, or each payment held."""
    shown = answering(*BILLED, "y", "n", "y", "y", "", "", "", "y")
    assert "payments are not copied" in shown
    books = read(file).policy.connections["books"].documents
    assert (books.mirrors, books.since) == (("invoice", "credit_note"), "")
    assert "from the day of the activation" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("answers", [("",), ("y", "n", "n")])
def test_nobody_has_to_have_documents(answering: Any, file: Path, answers: tuple[str, ...]) -> None:
    """Customers only is the default."""
    answering(*BILLED, *answers, "y")
    assert "documents" not in tomllib.loads(file.read_text())["connections"]["stripe-eu"]
    assert read(file).policy.connections["books"].documents == DocumentPolicy()


@pytest.mark.parametrize(("said", "wanted"), [("archive", "archive"), ("", "leave")])
def test_a_person_is_asked_what_becomes_of_archived_customers(
    answering: Any, file: Path, said: str, wanted: str
) -> None:
    """Only where anything else than deletion can become of them; left alone is the default."""
    shown = answering("n", "y", "books", "n", "n", "books", "", "", "", said, "n", "y")
    assert shown.count("is archived in the registry?") == 1
    assert (ARCHIVES["archive"] in shown.split("This will be written:")[1]) == (wanted == "archive")
    assert read(file).policy.connections["books"].when_archived == wanted


@pytest.mark.parametrize(("said", "settings"), [("y", {"billing_contact": "true"}), ("", {})])
def test_a_person_is_asked_for_billing_contacts(answering: Any, file: Path, said: str, settings: Any) -> None:
    """Only where the provider has such a thing; not asked for is the default."""
    shown = answering("y", "", "n", "n", "n", "", "", "", "", "", said, "", "y")
    assert "a second object for company customers, with their email and phone" in shown
    assert read(file).connections["hubspot"].settings == settings


def test_a_person_who_names_no_account_is_told(answering: Any, file: Path) -> None:
    """An empty file would start nothing."""
    with pytest.raises(InvalidInputError, match="no account was named"):
        answering("n", "n", "n")
    assert not file.exists()


def test_a_setting_that_only_the_provider_can_judge_is_judged_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the file would be written here and refused by the daemon."""
    file = tmp_path / "accord.toml"
    options = (*BOTH, "--setting", "books.region=mars", "--yes")
    assert run_daemon.main(["--config", str(file), "init", *options]) == 1
    assert "mars" in capsys.readouterr().err
    assert not file.exists()


def test_what_takes_two_settings_to_judge_is_told_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a connector can: it was told by the first command that built one, without the file."""
    file = tmp_path / "accord.toml"
    file.write_text('[connections.books]\nprovider = "quickbooks"\ncreate_items = "yes"\n')
    assert run_daemon.main(["--config", str(file), "connect", "books"]) == 1
    told = f"{file} [connections.books.income_account]: create_items needs the account"
    assert told in capsys.readouterr().err


def test_the_real_entry_writes_a_file_that_the_real_daemon_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same loader before and after."""
    file = tmp_path / "accord.toml"
    assert run_daemon.main(["--config", str(file), "init", *BOTH, "--setting", "books.realm_id=9", "--yes"]) == 0
    assert set(run_daemon.Application({"ACCORD_CONFIG": str(file)}).connections()) == {"stripe-eu", "books"}
    assert run_daemon.main(["--config", str(file), "connect", "stripe-eu", "--json"]) == 1
    assert "ACCORD_STRIPE_EU_API_KEY" in capsys.readouterr().out
