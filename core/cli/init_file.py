"""The work of `accord init`: the file's text, checked by the loader of the daemon before it stands in its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.cli.desk import OK, Desk
from core.cli.drafts import put, redrafted
from core.cli.init_choices import ARCHIVES, CREATES, ENTERS, Choice, Flags, by_asking, from_flags
from core.errors import ConfigError, InvalidInputError, StorageError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.ports import Provider

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEAD: Final = """\
# Accord's configuration, written by `accord init`. Change it as you like: mistakes are named, with key and line.
# What else may stand here (fields, thresholds, rhythm): config/accord.example.toml and docs/policy.md.
# No secret stands here: `accord connect NAME` asks for them, or they come from the environment."""


def write_first(desk: Desk, flags: Flags, *, force: bool, yes: bool) -> int:
    """Choose, check, write, and say what comes next."""
    file = desk.root.policy_file()
    _refuse_to_overwrite(file, force=force)
    providers = desk.root.providers()
    choices = _chosen(desk, flags, providers)
    text = text_of(choices, providers)
    try:
        with redrafted(file) as draft:
            warnings = _checked(desk, draft, file, text)
            if not yes:
                desk.note(_summary(choices))
                desk.confirm(f"write {file}?", otherwise="--yes")
            _refuse_to_overwrite(file, force=force)
            put(draft, file)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror or error}") from error
    _tell(desk, file, choices, providers, warnings)
    return OK


def _refuse_to_overwrite(file: Path, *, force: bool) -> None:
    try:
        is_folder, is_there = file.is_dir(), file.exists() or file.is_symlink()
    except OSError as error:  # too long a name, or in a folder that may not be entered
        raise StorageError(f"{file} cannot be written: {error.strerror}") from error
    if is_folder:
        raise InvalidInputError(f"{file} is a folder", cure="name a file: `accord --config FILE init`")
    if is_there and not force:
        cure = "--force overwrites it; `accord --config FILE init` writes another"
        raise InvalidInputError(f"{file} is there already", cure=cure)


def _chosen(desk: Desk, flags: Flags, providers: Mapping[str, Provider]) -> list[Choice]:
    choices = from_flags(flags, providers)
    if choices:
        return choices
    if not desk.is_terminal:
        known = ", ".join(sorted(providers))
        cure = f"name each account: --connection stripe-eu=stripe (known: {known})"
        raise InvalidInputError("no account is named, and nobody can be asked", field="--connection", cure=cure)
    return by_asking(desk, providers)


def _checked(desk: Desk, draft: Path, file: Path, text: str) -> Sequence[str]:
    """Have the draft read as the daemon would read it; returns its warnings."""
    try:
        draft.write_text(text, encoding="utf-8")
        return desk.root.check_policy(draft)
    except UnicodeEncodeError as error:
        raise InvalidInputError("an option holds bytes that are no text", cure="give it in UTF-8") from error
    except ConfigError as error:
        # the draft goes again: what is told is the file that was to be
        problem = error.problem.replace(str(draft), str(file))
        raise ConfigError(
            f"would be refused, so nothing is written: {problem}", file=str(file), key=error.key
        ) from error


# ---- the text --------------------------------------------------------------------------------------


def text_of(choices: Sequence[Choice], providers: Mapping[str, Provider]) -> str:
    """The whole file."""
    return "\n\n".join([_HEAD, *("\n".join(_table(one, providers[one.provider])) for one in choices), ""])


def _table(choice: Choice, provider: Provider) -> Iterator[str]:
    manifest = provider.manifest
    name = choice.name if _BARE.fullmatch(choice.name) else _quoted(choice.name)
    yield f"[connections.{name}]"
    yield "# which connector this is"
    yield f"provider = {_quoted(choice.provider)}"
    yield "# which of its customers may enter the registry: all | filter (see the example) | marked | none"
    yield f"# {choice.enters}: {ENTERS[choice.enters]}"
    yield f"enters = {_quoted(choice.enters)}"
    yield "# which registry customers may be created here: all | filter (see the example) | none"
    yield f"# {choice.creates}: {CREATES[choice.creates]}"
    yield f"creates = {_quoted(choice.creates)}"
    if manifest.archives or choice.when_archived != "leave":
        yield "# when a customer is archived in the registry: leave | archive"
        yield f"# {choice.when_archived}: {ARCHIVES[choice.when_archived]}"
        yield f"when_archived = {_quoted(choice.when_archived)}"
    yield "# link an object to the one customer with the same e-mail address; false: ask a person"
    yield f"match_email = {'true' if choice.match_email else 'false'}"
    if choice.external_id_field is not None:
        yield "# where its objects carry external_customer_id"
        yield f"external_id_field = {_quoted(choice.external_id_field)}"
    if manifest.metadata is not None and not manifest.metadata.is_open:
        yield "# the metadata keys carried as properties; none of them without this line"
        yield '# metadata_keys = ["plan", "segment"]'
    if choice.settings:
        yield "# the provider's own settings: `accord connect --list` tells what each of them is"
    for key, value in choice.settings.items():
        yield f"{key if _BARE.fullmatch(key) else _quoted(key)} = {_quoted(value)}"
    yield from _documents(choice)


def _documents(choice: Choice) -> Iterator[str]:
    """Its documents, where it makes any or gets copies."""
    if not (choice.originates or choice.mirrors or choice.since):
        return
    yield ""
    yield f"[connections.{choice.name if _BARE.fullmatch(choice.name) else _quoted(choice.name)}.documents]"
    for key, kinds, meaning in (
        ("originates", choice.originates, "documents that are made here enter the registry"),
        ("mirrors", choice.mirrors, "copies of documents that were made elsewhere; none is ever payable or mailed"),
    ):
        if kinds:
            yield f"# {meaning}"
            yield f"{key} = [{', '.join(map(_quoted, kinds))}]"
    if choice.since:
        yield "# only documents issued on this day or later"
        yield f"since = {_quoted(choice.since)}"
    elif choice.mirrors:
        yield "# documents issued from the day of the activation on; an earlier day, like 2026-01-01, as since = ..."


def _quoted(text: str) -> str:
    # TOML knows JSON's escapes but not its surrogate pairs, so letters stay letters
    return json.dumps(text, ensure_ascii=False)


# ---- what is told ----------------------------------------------------------------------------------


def _summary(choices: Sequence[Choice]) -> str:
    lines = ["", "This will be written:"]
    for one in choices:
        emails = "linked by e-mail" if one.match_email else "never linked by e-mail alone"
        lines += [
            f"  {one.name} ({one.provider}), {emails}",
            f"    enters  {one.enters}: {ENTERS[one.enters]}",
            f"    creates {one.creates}: {CREATES[one.creates]}",
        ]
        lines += [f"    archived customers: {ARCHIVES['archive']}"] if one.when_archived == "archive" else []
        lines += [f"    originates {', '.join(one.originates)}"] if one.originates else []
        lines += [f"    mirrors {', '.join(one.mirrors)} {_since(one)}"] if one.mirrors else []
    if all(one.enters != "all" for one in choices):
        lines.append("  Nobody enters by itself: --mints NAME says where customers come from.")
    return "\n".join(lines)


def _since(one: Choice) -> str:
    return f"issued since {one.since}" if one.since else "issued since its activation"


def _tell(
    desk: Desk, file: Path, choices: Sequence[Choice], providers: Mapping[str, Provider], warnings: Sequence[str]
) -> None:
    names = [one.name for one in choices]
    variables = {
        one.name: {secret: desk.root.variable(one.name, secret) for secret in providers[one.provider].manifest.secrets}
        for one in choices
    }
    following = [f"accord connect {name}" for name in names]
    following += [f"accord sync {name} --dry-run" for name in names]
    following += [f"accord activate {name} --plan DIGEST" for name in names] + ["accord run"]
    found = {
        "file": str(file),
        "connections": {one.name: asdict(one) for one in choices},
        "variables": variables,
        "warnings": list(warnings),
        "next": following,
    }
    desk.show(found, lambda screen: _draw(screen, file, names, warnings))


def _draw(screen: Screen, file: Path, names: Sequence[str], warnings: Sequence[str]) -> None:
    screen.line(f"wrote {file}", "green")
    for warning in warnings:
        screen.line(f"  {warning}", "yellow")
    screen.line("\nnext:")
    rows = [(f"accord connect {name}", "asks for its secrets, pins the account") for name in names]
    rows += [(f"accord sync {name} --dry-run", "reads everything, writes nothing, shows the plan") for name in names]
    rows += [(f"accord activate {name} --plan DIGEST", "allows writing, if the plan is still that") for name in names]
    screen.table(("command", "what it does"), [*rows, ("accord run", "the daemon")], whole="command")
