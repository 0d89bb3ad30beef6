"""The work of `accord connect NAME`: secrets into the vault, then whose account they open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import typer

from core.cli import consent
from core.cli.asking import actor
from core.cli.desk import FAILED, OK, Desk
from core.cli.toml_edit import with_setting
from core.errors import (
    AccordError,
    ConfigError,
    InvalidInputError,
    NotFoundError,
    ReauthorizeError,
    WrongAccountError,
)
from core.model.settings import secret_problem
from core.ports import Account, ConnectionConfig, OAuth, Provider, Vault
from core.store import connections
from core.store.database import Tx
from core.sync.accounts import authorized, pin
from core.sync.discreet import build_discreet

if TYPE_CHECKING:
    from core.cli.screen import Screen


_LEAVE_IT: Final = "type another one, or nothing to leave it as it is"


@dataclass(frozen=True, slots=True)
class Consenting:
    """How a consent in the browser is done."""

    port: int
    has_browser: bool
    patience: float


class _Trial:
    """A vault, and on top of it what a person types: stored once it is known whose account that opens.

    A running daemon uses what is stored at once, and must not write to another account.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._typed: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._typed.get(name) or self._vault.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        await self._vault.save(values)

    def type(self, name: str, value: str) -> None:
        self._typed[name] = value

    async def keep(self) -> None:
        if self._typed:
            await self._vault.save(self._typed)


def connect_one(desk: Desk, name: str, consenting: Consenting, *, is_anew: bool = False) -> int:
    """Connect one configured connection; returns the exit code. `is_anew`: ask for what is there, too."""
    configs = _configured(desk)
    if name not in configs:
        known = ", ".join(sorted(configs)) or "none"
        raise NotFoundError(f"there is no connection {name!r}", field="connection", cure=f"known: {known}; accord.toml")
    config = configs[name]
    provider, vault = desk.root.providers()[config.provider], _Trial(desk.root.vault(name))
    lacking = _ask_for(desk, name, provider, vault, is_anew=is_anew)
    if lacking:
        told = {"connection": name, "missing": {one: desk.root.variable(name, one) for one in lacking}}
        desk.show(told, lambda screen: _draw_lacking(screen, provider, told["missing"]))
        return FAILED
    account = _opened(desk, config, provider, vault, consenting)
    db = desk.root.database()
    is_running = desk.root.is_daemon_running()
    # a daemon may be reading the pinned account just now: what it reads would be stored as the other one's
    before = db.run_now(lambda tx: _pin(tx, config, account, configs, is_anew=not is_running))
    asyncio.run(vault.keep())
    now = desk.root.clock().now()
    state = db.run_now(lambda tx: authorized(tx, name, before, account.id, at=now, actor=actor()))
    missing = _optional(desk, name, provider, vault)
    found = {
        "connection": name, "account": account.id, "title": account.title, "notes": list(account.notes),
        "state": state, "missing": missing,
    }  # fmt: skip
    elsewhere = desk.root.given(name) if is_running else ()
    desk.show(found, lambda screen: _draw(screen, found, elsewhere, is_running=is_running))
    return OK


def _configured(desk: Desk) -> Mapping[str, ConnectionConfig]:
    """The connections of accord.toml; where there is none, the same words as from every other command."""
    try:
        return desk.root.connections()
    except ConfigError:
        if os.path.lexists(desk.root.policy_file()):
            raise
    with desk.root.open_hub() as hub:
        known = ", ".join(sorted(hub.connections))
    problem = f"the sandbox's connections ({known}) have their secrets, and there is no accord.toml"
    raise InvalidInputError(problem, field="connection", cure="`accord init` writes one")


def _needed(provider: Provider) -> list[str]:
    """Secrets without which nothing can be read. The webhook secret may come later: sweeps work without."""
    if provider.oauth is not None:
        return list(provider.oauth.needs)
    return [one for one in provider.manifest.secrets if one != provider.manifest.webhook_secret]


def _ask_for(desk: Desk, name: str, provider: Provider, vault: _Trial, *, is_anew: bool) -> list[str]:
    """Ask for missing secrets, hidden, where a person sits; returns those that are still missing."""
    hook = provider.manifest.webhook_secret
    every = (*_needed(provider), *([hook] if hook else []))
    wanted = [one for one in every if is_anew or not vault.get(one)]
    if not desk.is_terminal:
        if is_anew:
            cure = f"run it in a terminal, or set {', '.join(desk.root.variable(name, one) for one in every)}"
            raise InvalidInputError("nobody can be asked here", field="anew", cure=cure)
        return [one for one in wanted if one != hook]
    desk.note(f"{name} ({provider.manifest.title}); what you type is not shown, and sealed in the database")
    if is_anew:
        desk.note(f"  {_LEAVE_IT}")
    _type(desk, provider, vault, wanted)
    return [one for one in _needed(provider) if not vault.get(one)]


def _type(desk: Desk, provider: Provider, vault: _Trial, wanted: Sequence[str]) -> bool:
    """Whether a person typed any of these."""
    answers = {one: _secret(desk, f"{one} ({provider.manifest.secrets.get(one, '')})") for one in wanted}
    for one, answer in answers.items():
        if answer:
            vault.type(one, answer)
    return any(answers.values())


def _secret(desk: Desk, words: str) -> str:
    """What a person types, until it can be one."""
    while True:
        answer = desk.ask_hidden(words)
        problem = secret_problem(answer)
        if problem is None:
            return answer
        desk.note(f"  it {problem}")


def _opened(desk: Desk, config: ConnectionConfig, provider: Provider, vault: _Trial, how: Consenting) -> Account:
    """Whose account the credentials open; a person is asked only where those there open none."""
    try:
        account = asyncio.run(_account(desk, config, provider, vault))
    except (ReauthorizeError, ConfigError) as problem:
        if provider.oauth is None:
            if isinstance(problem, ConfigError):
                raise
            _ask_anew(desk, config, provider, vault, problem)
            return asyncio.run(_account(desk, config, provider, vault))
        _require_person(desk, config, provider, vault, problem)
        config = _consent(desk, config, provider.oauth, vault, how)
        return asyncio.run(_account(desk, config, provider, vault))
    if provider.oauth is not None:
        desk.note(f"{config.name}: its credentials open the account already; nobody needs to consent")
    return account


def _ask_anew(
    desk: Desk, config: ConnectionConfig, provider: Provider, vault: _Trial, problem: ReauthorizeError
) -> None:
    """What is there is refused, and whoever was told so is here to replace it. Raises `problem` where nobody does."""
    needed = _needed(provider)
    if not desk.is_terminal:
        variables = ", ".join(desk.root.variable(config.name, one) for one in needed)
        raise ReauthorizeError(
            f"{problem}; nobody can be asked here: run it in a terminal, or set {variables} anew"
        ) from problem
    desk.note(f"{problem}: {_LEAVE_IT}")
    if not _type(desk, provider, vault, needed):
        raise problem


def _require_person(
    desk: Desk, config: ConnectionConfig, provider: Provider, vault: Vault, problem: AccordError
) -> None:
    """Nobody waits for a consent that nobody can give."""
    if desk.is_terminal:
        return
    hook = provider.manifest.webhook_secret
    lacking = [one for one in provider.manifest.secrets if one != hook and not vault.get(one)]
    variables = ", ".join(desk.root.variable(config.name, one) for one in lacking)
    cure = f"run it in a terminal{f', or set {variables}' if variables else ''}"
    raise InvalidInputError(f"nobody can be asked to consent here, and {problem}", field="connection", cure=cure)


def _consent(desk: Desk, config: ConnectionConfig, oauth: OAuth, vault: Vault, how: Consenting) -> ConnectionConfig:
    """Send a person to the consent page, trade what comes back for tokens; returns the settings it told, too."""
    with consent.Callback(how.port) as callback:
        url = oauth.authorize_url(vault, callback.redirect_uri, callback.state)
        desk.note(f"open this page and consent; it comes back to {callback.redirect_uri}:\n{url}")
        if how.has_browser and desk.is_terminal:
            typer.launch(url)
        query = callback.wait(how.patience)
    learned = asyncio.run(_exchange(desk, config, oauth, vault, query, callback.redirect_uri))
    forms = desk.root.providers()[config.provider].manifest.settings
    for setting, value in learned.items():
        if problem := forms[setting].form.problem(value):
            told = f"the consent page told a {setting} that {problem}"
            cure = f"run `accord connect {config.name}` again, and choose the account on that page"
            raise InvalidInputError(told, field="connection", cure=cure)
        _keep_setting(desk, config, setting, value)
    return replace(config, settings={**config.settings, **learned})


async def _exchange(
    desk: Desk, config: ConnectionConfig, oauth: OAuth, vault: Vault, query: Mapping[str, str], redirect_uri: str
) -> Mapping[str, str]:
    return await oauth.exchange(config, vault, desk.root.shell(config.name), query, redirect_uri)


def _keep_setting(desk: Desk, config: ConnectionConfig, setting: str, value: str) -> None:
    """A setting that the consent told (QuickBooks' realm id) belongs into accord.toml."""
    known = config.settings.get(setting)
    if known == value:
        return
    if known:
        raise WrongAccountError(
            f"{config.name} is configured for {setting} {known}, but the consent was given for {value}; consent again "
            "in the right company, or change accord.toml"
        )
    with_setting(desk.root.policy_file(), config.name, setting, value)
    desk.note(f'wrote {setting} = "{value}" to {desk.root.policy_file()}')


async def _account(desk: Desk, config: ConnectionConfig, provider: Provider, vault: Vault) -> Account:
    """Whose account the credentials open."""
    connector = build_discreet(provider, config, vault, desk.root.shell(config.name))
    try:
        return await connector.identify()
    finally:
        await connector.aclose()


def _pin(
    tx: Tx, config: ConnectionConfig, account: Account, configured: Collection[str], *, is_anew: bool
) -> str | None:
    """Pin the account, or compare it with the pinned one: the one that it replaces. Raises WrongAccountError."""
    connections.ensure(tx, config.name, config.provider)
    before = connections.get(tx, config.name).account_id
    pin(tx, config.name, account, configured, is_anew=is_anew)
    return None if before == account.id else before


def _optional(desk: Desk, name: str, provider: Provider, vault: Vault) -> dict[str, str]:
    """The webhook secret, when it is not there yet, and the variable it may come from."""
    hook = provider.manifest.webhook_secret
    return {hook: desk.root.variable(name, hook)} if hook and not vault.get(hook) else {}


def _draw(screen: Screen, found: Mapping[str, Any], elsewhere: Sequence[str], *, is_running: bool) -> None:
    name = found["connection"]
    screen.line(f"{name} is connected to {found['title']} ({found['account']})", "green")
    for note in found["notes"]:
        screen.line(f"  {note}", "yellow")
    for secret, variable in found["missing"].items():
        words = f"  no {secret} yet: what comes to its address is refused until {variable} is set; sweeps find changes"
        screen.line(words, "yellow")
    if elsewhere:
        words = (
            f"  the running daemon keeps the environment that it was started with: if {', '.join(elsewhere)} changed"
        )
        screen.line(f"{words} since, restart it with the new one, then `accord connect {name}` again", "yellow")
    if found["state"] == "observing":
        screen.line(f"next: `accord sync {name} --dry-run`, then `accord activate {name} --plan DIGEST`")
    else:
        goes_on = "the daemon goes on" if is_running else f"`accord sync {name}` goes on"
        screen.line(f"it is {found['state']}: {goes_on}")


def _draw_lacking(screen: Screen, provider: Provider, missing: object) -> None:
    rows = dict(missing) if isinstance(missing, Mapping) else {}
    screen.line("secrets are missing, and nobody can be asked here; set these variables (or *_FILE):")
    screen.table(("variable", "what it is"), [(rows[one], provider.manifest.secrets.get(one)) for one in rows])
