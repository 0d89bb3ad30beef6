"""Open questions of who is who, as a person decides them in bulk: what is asked, every candidate, and the answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from core.errors import InvalidInputError, NotFoundError
from core.model.holds import AMBIGUOUS_MATCH
from core.model.match import OBJECTS
from core.store import customers, holds, mappings, observations
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.observations import Observation
from core.sync import answers
from core.sync.bulk import Refused
from core.sync.hub import KIND

LINK: Final = "link"
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_SHOWN: Final = 100


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a question: an object of the connection, or a customer of the registry."""

    id: str
    is_customer: bool
    name: str = ""
    email: str = ""
    external_id: str = ""
    remote_id: str = ""
    """Of a customer: the object that it has at the connection already."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One open hold: who `about` is."""

    hold: Hold
    about: Party
    candidates: list[Party]

    @property
    def is_linkable(self) -> bool:
        """Whether `about` can be linked to its candidates: not where they are objects like itself."""
        return all(one.is_customer != self.about.is_customer for one in self.candidates)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided on one line; `candidate` counts from 1."""

    line: int
    hold: str
    digest: str
    candidate: str
    choice: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that may be given; `is_given`: it was, before."""

    said: Choice
    choice: str
    is_given: bool


def questions(tx: Tx, connection: str | None) -> list[Question]:
    """Every open one, oldest first."""
    found: list[Question] = []
    open_ = holds.listing(tx, connection=connection, reason=AMBIGUOUS_MATCH)
    for name in dict.fromkeys(one.connection for one in open_):
        here = [one for one in open_ if one.connection == name]
        parties = _Parties(tx, name, here)
        found += [parties.question(one) for one in here]
    return found


def candidates_of(hold: Hold) -> list[str]:
    """Sorted, as in the digest: the number of a candidate means the same as long as that is the same."""
    return sorted(str(one) for one in hold.detail.get("candidates", ()))


class _Parties:
    """Whoever is named in the questions of one connection, looked up at once."""

    def __init__(self, tx: Tx, connection: str, here: Sequence[Hold]) -> None:
        objects = {one.subject[2:] for one in here if one.subject.startswith("r:")}
        external: set[str] = set()
        for one in here:
            (objects if _are_objects(one) else external).update(candidates_of(one))
        self._objects: Mapping[str, Observation] = observations.by_ids(tx, connection, KIND, objects)
        self._customers: Mapping[str, Customer] = customers.by_external_ids(tx, external)
        self._owners = customers.by_ids(tx, {one.record_id for one in here if one.record_id})
        rows = mappings.of_records(tx, {one.id for one in self._customers.values()})
        self._remote_ids = {
            record: row.remote_id or ""
            for record, some in rows.items()
            for row in some
            if row.connection == connection and not row.part
        }

    def question(self, hold: Hold) -> Question:
        if hold.subject.startswith("r:"):
            about = self._object(hold.subject[2:])
        else:
            owner = self._owners.get(hold.record_id or "")
            about = self._customer(owner.external_id if owner else "", owner)
        ids = candidates_of(hold)
        if _are_objects(hold):
            return Question(hold=hold, about=about, candidates=[self._object(one) for one in ids])
        return Question(
            hold=hold, about=about, candidates=[self._customer(one, self._customers.get(one)) for one in ids]
        )

    def _object(self, remote_id: str) -> Party:
        seen = self._objects.get(remote_id)
        if seen is None:
            return Party(id=remote_id, is_customer=False)
        name, email = (str(seen.remote.fields.get(one) or "") for one in ("name", "email"))
        external_id = seen.remote.external_id or ""
        return Party(id=remote_id, is_customer=False, name=name, email=email, external_id=external_id)

    def _customer(self, external_id: str, one: Customer | None) -> Party:
        if one is None:
            return Party(id=external_id, is_customer=True, external_id=external_id)
        name, email = (str(one.fields.get(part) or "") for part in ("name", "email"))
        remote_id = self._remote_ids.get(one.id, "")
        return Party(
            id=external_id, is_customer=True, name=name, email=email, external_id=external_id, remote_id=remote_id
        )


def _are_objects(hold: Hold) -> bool:
    return hold.detail.get("candidates_are") == OBJECTS


def check(tx: Tx, said: Iterable[Choice]) -> tuple[list[Answer], list[Refused[Choice]]]:
    """Answers that may be given, one per hold; and everything that is wrong with the rest."""
    found: dict[str, Answer] = {}
    targets: dict[tuple[str, str, str], Choice] = {}
    refused: list[Refused[Choice]] = []
    for one in said:
        try:
            hold, answer = _answer(tx, one)
            _check_alone(found.get(one.hold), answer)
            _check_free(targets.setdefault((hold.connection, hold.subject[:2], answer.choice), one), answer)
        except InvalidInputError as error:
            refused.append(Refused(one, error))
        else:
            found.setdefault(one.hold, answer)
    broken = {one.item.hold for one in refused}
    return [one for name, one in found.items() if name not in broken], refused


def _check_alone(before: Answer | None, answer: Answer) -> None:
    if before is not None and before.choice != answer.choice:
        problem = f"line {before.said.line} says {before.choice!r} of the same hold"
        raise InvalidInputError(problem, field="choice", cure="fill in one line of each hold")


def _check_free(first: Choice, answer: Answer) -> None:
    """No two objects for one customer, no two customers for one object."""
    if answer.choice.startswith("link:") and first.hold != answer.said.hold:
        problem = f"line {first.line} takes {answer.choice[len('link:') :]!r} too"
        raise InvalidInputError(problem, field="choice", cure="link one of the two")


def _answer(tx: Tx, said: Choice) -> tuple[Hold, Answer]:
    hold = holds.get(tx, said.hold)
    if hold is None:
        raise NotFoundError(f"there is no hold {said.hold!r}", field="hold", cure="export the questions again")
    if hold.reason != AMBIGUOUS_MATCH:
        problem = f"is no question of who is who, but {hold.reason}"
        raise InvalidInputError(problem, field="hold", cure="`accord holds answer` decides it")
    choice = _choice(hold, said)
    if hold.state == "answered" and hold.answer == choice and hold.digest == said.digest:
        return hold, Answer(said=said, choice=choice, is_given=True)
    if hold.state != "open":
        what = f"was answered {hold.answer!r} by {hold.actor}" if hold.state == "answered" else "has closed by itself"
        raise InvalidInputError(f"it {what}", field="hold", cure="export the questions again")
    answers.check(tx, hold, choice, said.digest)
    return hold, Answer(said=said, choice=choice, is_given=False)


def _choice(hold: Hold, said: Choice) -> str:
    """`link` on a candidate's line, as the choice that a hold takes."""
    if said.choice != LINK:
        return said.choice
    ids = candidates_of(hold)
    number = int(said.candidate) if _NUMBER.fullmatch(said.candidate) else 0
    if not 1 <= number <= len(ids):
        limit = f"1 to {len(ids)}" if ids else "none"
        problem, cure = f"there is no candidate {said.candidate[:_SHOWN]!r}", "leave the number on the line as it was"
        raise InvalidInputError(problem, field="candidate", limit=limit, cure=cure)
    if hold.subject.startswith("r:") and _are_objects(hold):
        problem = "the candidate is an object like this one"
        limit = "link:<external_customer_id>, create, leave"
        raise InvalidInputError(problem, field="choice", limit=limit, cure="write one of these")
    return f"link:{ids[number - 1]}"
