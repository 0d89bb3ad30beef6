"""What `accord init` must know of invoices, payments and credit notes: who makes them, who gets copies, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

import typer

from core.cli.desk import Desk
from core.cli.init_choices import Choice, ask
from core.errors import InvalidInputError
from core.model.documents import KINDS

if TYPE_CHECKING:
    from core.model.remote import Manifest
    from core.ports import Provider

Way = Literal["originates", "mirrors"]
ALL: Final = "all"
_WORDS: Final = {"invoice": "invoices", "payment": "payments", "credit_note": "credit notes"}


def kinds_of(option: str, text: str, manifest: Manifest, way: Way) -> tuple[str, ...]:
    """`invoice,payment`, or `all` that the provider can."""
    able = able_to(manifest, way)
    kinds = able if text == ALL else tuple(one.strip() for one in text.split(","))
    wrong = [one for one in kinds if one not in able]
    if wrong or not kinds:
        does = f"{manifest.title} {'makes' if way == 'originates' else 'takes copies of'}"
        limit, cure = (f"{does} {', '.join(able)}; or {ALL}", None) if able else (f"{does} none", "leave it out")
        raise InvalidInputError(f"cannot be {text!r}", field=option, limit=limit, cure=cure)
    return kinds


def able_to(manifest: Manifest, way: Way) -> tuple[str, ...]:
    """The kinds that a provider can originate, or mirror, in their own order."""
    return tuple(one for one in KINDS if one in manifest.documents and getattr(manifest.documents[one], way))


def with_documents(desk: Desk, choices: Sequence[Choice], providers: Mapping[str, Provider]) -> list[Choice]:
    """Ask a person who makes documents, and who gets copies of them."""
    able = [one.name for one in choices if able_to(providers[one.provider].manifest, "originates")]
    if not able:
        return list(choices)
    desk.note("\ninvoices, payments and credit notes: each is made in one system, and copied to others as it is there.")
    if not typer.confirm("shall they flow, too?", default=False, err=True):
        return list(choices)
    making = {
        one.name: able_to(providers[one.provider].manifest, "originates")
        for one in choices
        if one.name in able and typer.confirm(f"are customers billed in {one.name}?", default=False, err=True)
    }
    found = []
    for one in choices:
        others = {kind for name, kinds in making.items() if name != one.name for kind in kinds}
        made = replace(one, originates=making.get(one.name, ()))
        found.append(_mirroring(desk, made, providers[one.provider].manifest, others))
    return found


def _mirroring(desk: Desk, choice: Choice, manifest: Manifest, made: set[str]) -> Choice:
    """Whether a connection gets copies of what is made elsewhere, and what it needs for that."""
    kinds = tuple(one for one in able_to(manifest, "mirrors") if one in made)
    words = ", ".join(_WORDS[one] for one in kinds)
    if not kinds or not typer.confirm(f"copy {words} to {choice.name}?", default=False, err=True):
        return choice
    settings = dict(choice.settings)
    for kind in kinds:
        spec = manifest.documents[kind]
        for key in (one for one in (*spec.needs, *spec.asks) if one not in settings):
            told = _setting(key, manifest)
            settings |= {key: told} if told else {}
        if any(one not in settings for one in spec.needs):
            desk.note(
                f"  without it, {_WORDS[kind]} are not copied: name it in the file later, with the kind in mirrors"
            )
            kinds = tuple(one for one in kinds if one != kind)
    return replace(choice, mirrors=kinds, since=_day() if kinds else "", settings=settings)


def _setting(key: str, manifest: Manifest) -> str:
    setting = manifest.settings[key]
    while told := ask(f"{key}: {setting.words} (blank: none)", ""):
        problem = setting.form.problem(told)
        if problem is None:
            break
        typer.echo(f"  {problem}", err=True)
    return told


def _day() -> str:
    while True:
        told = ask("copies of documents issued from which day on, YYYY-MM-DD (blank: from its activation)", "")
        try:
            return date.fromisoformat(told).isoformat() if told else ""
        except ValueError:
            typer.echo(f"  {told!r} is no day", err=True)
