"""What `accord init` must know of each connection: from flags, or by asking in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import typer

from core.cli.desk import Desk
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.init_documents import Way
    from core.ports import Provider

ENTERS: Final[Mapping[str, str]] = {
    "all": "every customer there enters the registry; who carries no id of yours is called CONNECTION:THEIR-ID",
    "marked": "only customers that carry our marker or an external id enter",
    "none": "only customers that carry our marker, because we made them",
}
CREATES: Final[Mapping[str, str]] = {
    "all": "every registry customer that is not there is created there",
    "none": "nobody is created there; who is there already is kept in agreement",
}
ARCHIVES: Final[Mapping[str, str]] = {
    "leave": "a customer's object there stays as it is when the customer is archived in the registry",
    "archive": "it is archived there, too; where it was changed there, owes, or has open documents, a person is asked",
}


@dataclass(frozen=True, slots=True)
class Flags:
    """The options as they were given."""

    connections: Sequence[str] = ()
    mints: str | None = None
    enters: Sequence[str] = ()
    creates: Sequence[str] = ()
    when_archived: Sequence[str] = ()
    match_email: Sequence[str] = ()
    external_id: Sequence[str] = ()
    settings: Sequence[str] = ()
    originates: Sequence[str] = ()
    mirrors: Sequence[str] = ()
    since: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One connection. What is not chosen is the cautious default of core.model.policy."""

    name: str
    provider: str
    enters: str = "marked"
    creates: str = "none"
    when_archived: str = "leave"
    match_email: bool = False
    external_id_field: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    originates: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    since: str = ""


# ---- from flags ------------------------------------------------------------------------------------


def from_flags(flags: Flags, providers: Mapping[str, Provider]) -> list[Choice]:
    """Connections in the order in which they were named."""
    chosen = _named(flags.connections, providers)
    if flags.mints is not None:
        _change(chosen, "--mints", flags.mints, enters="all")
    for name, scope in _pairs(flags.enters, "--enters", "NAME=WHO"):
        if name == flags.mints and scope != "all":
            cure = "leave out one of the two options"
            raise InvalidInputError(f"is {scope!r} for {name}, where customers come from", field="--enters", cure=cure)
        _change(chosen, "--enters", name, enters=_scope("--enters", scope, ENTERS))
    _towards(chosen, flags)
    for name in flags.match_email:
        _change(chosen, "--match-email", name, match_email=True)
    for name, place in _pairs(flags.external_id, "--external-id", "NAME=PLACE"):
        _change(chosen, "--external-id", name, external_id_field=place)
    for key, value in _pairs(flags.settings, "--setting", "NAME.KEY=VALUE"):
        name, _, setting = key.partition(".")
        known = chosen[name].settings if name in chosen else {}
        _change(chosen, "--setting", name, settings={**known, setting: value})
    _documents(chosen, flags, providers)
    return list(chosen.values())


def _towards(chosen: dict[str, Choice], flags: Flags) -> None:
    """What the registry's customers may become there."""
    for name, scope in _pairs(flags.creates, "--creates", "NAME=WHO"):
        _change(chosen, "--creates", name, creates=_scope("--creates", scope, CREATES))
    for name, what in _pairs(flags.when_archived, "--when-archived", "NAME=WHAT"):
        _change(chosen, "--when-archived", name, when_archived=_scope("--when-archived", what, ARCHIVES))


def _documents(chosen: dict[str, Choice], flags: Flags, providers: Mapping[str, Provider]) -> None:
    from core.cli.init_documents import kinds_of

    ways: tuple[tuple[Way, Sequence[str]], ...] = (("originates", flags.originates), ("mirrors", flags.mirrors))
    for way, texts in ways:
        for name, text in _pairs(texts, f"--{way}", "NAME=KINDS"):
            _change(chosen, f"--{way}", name)
            manifest = providers[chosen[name].provider].manifest
            _change(chosen, f"--{way}", name, **{way: kinds_of(f"--{way}", text, manifest, way)})
    for name, day in _pairs(flags.since, "--since", "NAME=DAY"):
        _change(chosen, "--since", name, since=day)


def _named(texts: Sequence[str], providers: Mapping[str, Provider]) -> dict[str, Choice]:
    chosen: dict[str, Choice] = {}
    for name, provider in _pairs(texts, "--connection", "NAME=PROVIDER"):
        if name in chosen:
            raise InvalidInputError(f"{name!r} is named twice", field="--connection", cure="one name for each account")
        if provider not in providers:
            known = ", ".join(sorted(providers))
            raise InvalidInputError(f"{provider!r} is no provider", field="--connection", cure=f"known: {known}")
        chosen[name] = Choice(name, provider)
    return chosen


def _pairs(texts: Sequence[str], option: str, form: str) -> list[tuple[str, str]]:
    return [_pair(text, option, form) for text in texts]


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    before, sign, after = text.partition("=")
    if not sign or not before.strip() or not after.strip():
        raise InvalidInputError(f"cannot use {text!r}", field=option, limit=form, cure="write it in this form")
    return before.strip(), after.strip()


def _scope(option: str, scope: str, words: Mapping[str, str]) -> str:
    if scope in words:
        return scope
    cure = "edit the file afterwards: a filter needs a field and values" if scope == "filter" else None
    raise InvalidInputError(f"cannot be {scope!r} here", field=option, limit=" | ".join(words), cure=cure)


def _change(chosen: dict[str, Choice], option: str, name: str, **changes: Any) -> None:  # noqa: ANN401 - of Choice
    if name not in chosen:
        known = ", ".join(chosen) or "none; name one with --connection"
        raise InvalidInputError(f"there is no connection {name!r}", field=option, cure=f"known: {known}")
    chosen[name] = replace(chosen[name], **changes)


# ---- by asking -------------------------------------------------------------------------------------


def by_asking(desk: Desk, providers: Mapping[str, Provider]) -> list[Choice]:
    """Ask a person who sits at a terminal."""
    from core.cli.init_documents import with_documents

    desk.note("Which accounts shall agree? A name is 1 to 40 of a-z, 0-9 and -, such as stripe-eu.")
    names = _ask_accounts(desk, providers)
    if not names:
        raise InvalidInputError("no account was named", field="connection", cure="run it again and name one at least")
    desk.note("Where do customers come from? All of its customers enter, and give the registry its external ids.")
    mints = _ask_one(desk, "come from (blank: nobody enters by itself)", (*names, ""), "")
    choices = [_ask_connection(desk, name, providers[one], mints == name) for name, one in names.items()]
    return with_documents(desk, choices, providers)


def _ask_accounts(desk: Desk, providers: Mapping[str, Provider]) -> dict[str, str]:
    names: dict[str, str] = {}
    for provider, offer in sorted(providers.items()):
        more = typer.confirm(f"an account at {offer.manifest.title}?", default=False, err=True)
        while more:
            default = provider if provider not in names else ""
            name = ask(f"  its name{'' if default else ' (say stripe-us)'}", default)
            if name in names or not name:
                desk.note(f"  {name!r} is {'taken' if name else 'no name'}")
                continue
            names[name] = provider
            more = typer.confirm(f"another account at {offer.manifest.title}?", default=False, err=True)
    return names


def _ask_connection(desk: Desk, name: str, provider: Provider, mints: bool) -> Choice:  # noqa: FBT001 - one caller
    title = provider.manifest.title
    desk.note(f"\n{name} ({title}): who may enter the registry from there?")
    _explain(desk, ENTERS)
    enters = _ask_one(desk, "enters", tuple(ENTERS), "all" if mints else "marked")
    desk.note("who may be created there?")
    _explain(desk, CREATES)
    creates = _ask_one(desk, "creates", tuple(CREATES), "none")
    desk.note("one customer with the same e-mail address on both sides: link the two, or ask a person?")
    emails = typer.confirm("link by e-mail?", default=False, err=True)
    place = ""
    if provider.manifest.metadata is not None:
        desk.note("do its customers carry an id of yours already? (metadata.KEY at Stripe, a property at HubSpot)")
        place = ask("where (blank: they do not)", "")
    return Choice(
        name,
        provider.manifest.provider,
        enters=enters,
        creates=creates,
        match_email=emails,
        external_id_field=place or None,
        settings=_ask_parts(desk, provider),
        when_archived=_ask_archiving(desk, provider),
    )


def _ask_parts(desk: Desk, provider: Provider) -> dict[str, str]:
    """The settings of the second objects that a customer shall have there."""
    asked: dict[str, str] = {}
    for part in provider.manifest.parts:
        desk.note(f"{part.title}: a second object for {part.when[1]} customers, with their {' and '.join(part.fields)}")
        if typer.confirm(f"keep a {part.title}?", default=False, err=True):
            asked[part.setting] = "true"
    return asked


def _ask_archiving(desk: Desk, provider: Provider) -> str:
    """What becomes of archived customers' objects, where anything can but their deletion."""
    if not provider.manifest.archives:
        return "leave"
    desk.note("what becomes of a customer's object there when the customer is archived in the registry?")
    _explain(desk, ARCHIVES)
    return _ask_one(desk, "archived customers", tuple(ARCHIVES), "leave")


def _explain(desk: Desk, words: Mapping[str, str]) -> None:
    for choice, meaning in words.items():
        desk.note(f"  {choice:7} {meaning}")


def _ask_one(desk: Desk, question: str, choices: Sequence[str], default: str) -> str:
    while True:
        answer = ask(question, default)
        if answer in choices:
            return answer
        desk.note(f"  {answer!r} is none of {', '.join(one for one in choices if one)}")


def ask(question: str, default: str) -> str:
    """One answer, without blanks around it."""
    answer: str = typer.prompt(question, default=default, show_default=bool(default), err=True)
    return answer.strip()
