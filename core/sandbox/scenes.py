"""The demo's mess, one small function for each kind of it: its rows, and who must decide what about them.

What the systems must agree on is not said here: seed.py derives it from the ranks. A scene only adds what the
ranks do not tell: which rows are ambiguous, and which values a system cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from core.model.holds import AMBIGUOUS_MATCH, NAME_TAKEN, UNREPRESENTABLE
from core.sandbox.cast import SYSTEMS, Case, Cast, Hold, Record, Scene, System, row


def only_in_one(cast: Cast) -> Scene:
    """Known to one system; the other two must get it, whole."""
    return Scene((_everywhere(cast.anyone(), cast.rng.choice(SYSTEMS)),))


def in_two(cast: Cast) -> Scene:
    """The same values in two systems, linked by e-mail; the third must get it."""
    return Scene((_everywhere(cast.anyone(), *cast.rng.sample(SYSTEMS, 2)),))


def in_three(cast: Cast) -> Scene:
    """The same values everywhere: nothing to write but our markers."""
    return Scene((_everywhere(cast.anyone(), *SYSTEMS),))


def without_email(cast: Cast) -> Scene:
    """No e-mail, so nothing links it: it is a customer of its own, never matched by name."""
    return Scene((_everywhere(cast.company() | {"email": None}, cast.rng.choice(SYSTEMS)),))


def twins(cast: Cast) -> Scene:
    """Two rows of one system share an e-mail: which of them is the customer, a person must say. Neither enters."""
    system = cast.rng.choice(SYSTEMS)
    return Scene(_twins(cast, system))


def twins_and_a_third(cast: Cast) -> Scene:
    """Two Stripe rows share the e-mail of one in HubSpot: that one enters, but Stripe must not get a third."""
    pair = _twins(cast, "stripe")
    third = row("hubspot", cast.company(), email=pair[0].rows["stripe"]["email"])
    held = (Hold("stripe", AMBIGUOUS_MATCH),)
    return Scene((*pair, Case(rows={"hubspot": third}, holds=held, absent=frozenset({"stripe"}))))


def conflict_of_two(cast: Cast) -> Scene:
    """Two systems tell name, phone and address differently: the better ranked one wins field by field."""
    record = cast.anyone()
    one, other = cast.rng.sample(SYSTEMS, 2)
    return Scene((Case(rows={one: row(one, record), other: row(other, record, **_retold(cast))}),))


def conflict_of_three(cast: Cast) -> Scene:
    """Three stories about one company; each system wins the fields it owns, whatever order it is read in."""
    record = cast.company()
    rows = {system: row(system, record, **_retold(cast)) for system in SYSTEMS}
    for system in ("hubspot", "quickbooks"):
        rows[system] |= {"url": f"https://{system}.example/{record['legal_number'][4:]}"}
        rows[system] |= {"legal_name": f"{record['name']} ({system})"}
    return Scene((Case(rows=rows),))


def linked_by_external_id(cast: Cast) -> Scene:
    """The same external id in Stripe and HubSpot, other e-mails: linked, and Stripe's e-mail wins."""
    record = cast.anyone()
    known_as = f"C-{cast.rng.randrange(10**9):09d}"
    other = "old." + record["email"]
    rows: Mapping[System, Record] = {
        "stripe": row("stripe", record, external_id=known_as),
        "hubspot": row("hubspot", record, external_id=known_as, email=other),
    }
    return Scene((Case(rows=rows),))


def blanks(cast: Cast) -> Scene:
    """Each system knows what the others do not: every blank is filled, nothing is overwritten."""
    record = cast.company()
    rows: Mapping[System, Record] = {
        "stripe": {"email": record["email"], "name": record["name"], "locale": record["locale"]},
        "hubspot": row("hubspot", record, phone=None, billing_address=None),
        "quickbooks": row("quickbooks", record, url=None, legal_name=None),
    }
    return Scene((Case(rows=rows),))


def inactive(cast: Cast) -> Scene:
    """Made inactive in QuickBooks, where a customer cannot be deleted; linked to Stripe or alone."""
    record = cast.anyone() | {"status": "inactive"}
    return Scene((_everywhere(record, *cast.rng.choice((("quickbooks",), ("stripe", "quickbooks")))),))


def colon_in_the_name(cast: Cast) -> Scene:
    """QuickBooks takes `:` for parent and child: it cannot hold the name, so the customer is not made there."""
    record = cast.company()
    record |= {"name": f"Project: {record['name']}"}
    return Scene((_without_books(record, cast.rng.choice(("stripe", "hubspot"))),))


def letters_beyond_latin(cast: Cast) -> Scene:
    """A US QuickBooks company stores ISO-8859-1: no such name, no customer there. Elsewhere it must be exact."""
    record = cast.person()
    name = cast.rng.choice(("山田太郎", "Łukasz Wiśniewski", "Ольга Петрова", "Νίκος Παππάς"))
    record |= {"name": f"{name} {record['name'].rsplit(' ', 1)[1]}"}
    return Scene((_without_books(record, cast.rng.choice(("stripe", "hubspot"))),))


def address_beyond_latin(cast: Cast) -> Scene:
    """Only the address has such letters: QuickBooks gets the customer without it."""
    address = {"city": "Łódź", "country": "PL", "line1": "ul. Piotrkowska 12", "postal_code": "90-001"}
    record = cast.company() | {"billing_address": address}
    held = (Hold("quickbooks", UNREPRESENTABLE, "billing_address"),)
    return Scene((_everywhere(record, "stripe", holds=held),))


def phone_too_long(cast: Cast) -> Scene:
    """27 characters of phone at HubSpot, 20 fit at Stripe: it is held there, not cut; QuickBooks takes 30."""
    record = cast.company()
    record |= {"phone": f"+1 (415) {record['phone'][5:8]}-{record['phone'][8:]} ext. {cast.rng.randint(1000, 9999)}"}
    return Scene((_everywhere(record, "hubspot", holds=(Hold("stripe", UNREPRESENTABLE, "phone"),)),))


def phone_much_too_long(cast: Cast) -> Scene:
    """Two numbers in one field at HubSpot: neither Stripe nor QuickBooks can hold them."""
    record = cast.company()
    record |= {"phone": f"{record['phone']} or {record['phone'][:-1]}9, after 6 pm"}
    held = tuple(Hold(system, UNREPRESENTABLE, "phone") for system in ("stripe", "quickbooks"))
    return Scene((_everywhere(record, "hubspot", holds=held),))


def name_too_long(cast: Cast) -> Scene:
    """300 characters of name at HubSpot, 500 fit at QuickBooks, 256 at Stripe: no customer without its name there."""
    record = cast.company()
    record |= {"name": (record["name"] + " and all of its many subsidiaries" * 10)[:300].rstrip()}
    held = (Hold("stripe", UNREPRESENTABLE, "name"),)
    case = Case(rows={"hubspot": row("hubspot", record)}, holds=held, absent=frozenset({"stripe"}))
    return Scene((case,))


def legal_name_too_long(cast: Cast) -> Scene:
    """A registered name of more than the 100 characters of QuickBooks' CompanyName."""
    record = cast.company()
    record |= {"legal_name": f"{record['name']} Gesellschaft für den Vertrieb von Waren " * 3 + "mbH"}
    return Scene((_everywhere(record, "hubspot", holds=(Hold("quickbooks", UNREPRESENTABLE, "legal_name"),)),))


def parent_and_children(cast: Cast) -> Scene:
    """Sub-customers only QuickBooks knows: they become contacts at HubSpot, and people have no parents there."""
    head = _everywhere(cast.company(), "quickbooks")
    children = (_below({"quickbooks": 0}, cast.company(), "quickbooks") for _ in range(2))
    return Scene((head, *children))


def group_in_one(cast: Cast) -> Scene:
    """Companies below companies at HubSpot, two levels deep: QuickBooks must get the whole tree, parents first."""
    head = _everywhere(cast.company(), "hubspot")
    branches = (_below({"hubspot": 0}, cast.company(), "hubspot") for _ in range(2))
    return Scene((head, *branches, _below({"hubspot": 1}, cast.company(), "hubspot")))


def group_told_by_one(cast: Cast) -> Scene:
    """Everybody is in both systems, and one of the two says who is below whom."""
    there: tuple[System, System] = ("hubspot", "quickbooks")
    told = cast.rng.choice(there)
    return Scene((_everywhere(cast.company(), *there), _below({told: 0}, cast.company(), *there)))


def group_in_dispute(cast: Cast) -> Scene:
    """HubSpot and QuickBooks name different parents: the better ranked one's stands."""
    there: tuple[System, System] = ("hubspot", "quickbooks")
    heads = (_everywhere(cast.company(), *there) for _ in range(2))
    return Scene((*heads, _below({"hubspot": 0, "quickbooks": 1}, cast.company(), *there)))


def unknown_attributes(cast: Cast) -> Scene:
    """Attributes that Accord knows nothing about, in all three: they must be there afterwards, untouched."""
    record = cast.anyone()
    extras: Mapping[System, Mapping[str, Any]] = {
        "stripe": {"description": "since 2019, never late", "tax_exempt": "none"},
        "hubspot": {"lifecyclestage": "customer", "hs_lead_status": "CONNECTED"},
        "quickbooks": {"Notes": "call before delivery", "PreferredDeliveryMethod": "Email"},
    }
    rows = {system: row(system, record, extra=dict(extra)) for system, extra in extras.items()}
    return Scene((Case(rows=rows),))


def metadata(cast: Cast) -> Scene:
    """Keys of both systems' own and one they share and tell differently; QuickBooks has no place for any."""
    record = cast.anyone()
    number = cast.rng.randrange(10**6)
    mine = {"metadata.plan": f"plan-{number}", "metadata.cost_center": f"CC{number % 100:02d}"}
    theirs = {"metadata.plan": cast.rng.choice((None, f"trial-{number}")), "metadata.segment": f"segment-{number % 7}"}
    rows: Mapping[System, Record] = {
        "stripe": row("stripe", record) | mine,
        "hubspot": row("hubspot", record) | {key: value for key, value in theirs.items() if value},
    }
    return Scene((Case(rows=rows),))


def spelled_emails(cast: Cast) -> Scene:
    """One address in three spellings: padded, in capitals, mixed. They are one customer."""
    record = cast.anyone()
    email = record["email"]
    rows: Mapping[System, Record] = {
        "stripe": row("stripe", record, email=f" {email} "),
        "hubspot": row("hubspot", record, email=email.upper()),
        "quickbooks": row("quickbooks", record, email=email.capitalize()),
    }
    return Scene((Case(rows=rows),))


def namesakes(cast: Cast) -> Scene:
    """Two people of one name in Stripe: QuickBooks takes the first to come and refuses the other."""
    first, second = cast.person(), cast.person()
    cases = tuple(Case(rows={"stripe": row("stripe", record, name=first["name"])}) for record in (first, second))
    return Scene(cases, Hold("quickbooks", NAME_TAKEN))


def name_in_use(cast: Cast) -> Scene:
    """Somebody else already has the name in QuickBooks: the two are not one customer, and only one is there."""
    owner, other = cast.company(), cast.company()
    late = Case(
        rows={"stripe": row("stripe", other, name=owner["name"])},
        holds=(Hold("quickbooks", NAME_TAKEN),),
        absent=frozenset({"quickbooks"}),
    )
    return Scene((_everywhere(owner, "quickbooks"), late))


def billed_abroad(cast: Cast) -> Scene:
    """Known to both billers, in a currency of its own: its invoices have no decimals, two or three."""
    record = cast.company() | {"currency": cast.rng.choice(("EUR", "JPY", "KWD"))}
    return Scene((_everywhere(record, "stripe", "quickbooks"),))


SCENES: Final[tuple[tuple[Callable[[Cast], Scene], int], ...]] = (
    (only_in_one, 90),
    (in_two, 45),
    (in_three, 40),
    (without_email, 6),
    (twins, 4),
    (twins_and_a_third, 1),
    (conflict_of_two, 20),
    (conflict_of_three, 10),
    (linked_by_external_id, 8),
    (blanks, 20),
    (inactive, 6),
    (colon_in_the_name, 3),
    (letters_beyond_latin, 4),
    (address_beyond_latin, 2),
    (phone_too_long, 3),
    (phone_much_too_long, 1),
    (name_too_long, 1),
    (legal_name_too_long, 1),
    (parent_and_children, 3),
    (group_in_one, 3),
    (group_told_by_one, 3),
    (group_in_dispute, 1),
    (unknown_attributes, 8),
    (metadata, 16),
    (spelled_emails, 8),
    (namesakes, 2),
    (name_in_use, 2),
    (billed_abroad, 12),
)
"""Every kind of mess, and how often it comes among about 320 customers. Each comes at least once."""


def _everywhere(record: Mapping[str, Any], *systems: System, holds: tuple[Hold, ...] = ()) -> Case:
    return Case(rows={system: row(system, record) for system in systems}, holds=holds)


def _below(parents: Mapping[System, int], record: Mapping[str, Any], *systems: System) -> Case:
    return Case(rows={system: row(system, record) for system in systems}, parents=parents)


def _without_books(record: Mapping[str, Any], system: System) -> Case:
    held = (Hold("quickbooks", UNREPRESENTABLE, "name"),)
    return Case(rows={system: row(system, record)}, holds=held, absent=frozenset({"quickbooks"}))


def _twins(cast: Cast, system: System) -> tuple[Case, Case]:
    # companies: HubSpot itself refuses a second contact of the same e-mail
    first, second = cast.company(), cast.company()
    rows = (row(system, first), row(system, second, email=first["email"]))
    held = (Hold(system, AMBIGUOUS_MATCH),)
    one, other = (Case(rows={system: found}, holds=held, enters=False) for found in rows)
    return one, other


def _retold(cast: Cast) -> Record:
    """Another story about the same customer: everything but the e-mail that links it."""
    other = cast.person()
    return {field: other[field] for field in ("name", "phone", "billing_address")}
