"""Billing contacts: what a contact is to a company, at the look-alike, in neutral words, and over the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from connectors.hubspot.connector import HubSpotConnector
from connectors.hubspot.sandbox import HubSpotSettings
from connectors.hubspot.sandbox.billing import PRIMARY
from connectors.hubspot.sandbox.settings import SCOPES
from connectors.hubspot.translate import HubSpotTranslator
from core.errors import (
    AmbiguousError,
    BugError,
    ConfigError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
)
from core.model.remote import Wanted
from core.ports import ConnectionConfig, HttpRequest, HttpResponse, Missing, Probe, Written
from tests.unit.connectors.hubspot.conftest import World

BOTH = "/crm/associations/2026-09/contacts/companies"
BACK = "/crm/associations/2026-09/companies/contacts"
ON = HubSpotTranslator(ConnectionConfig("crm", "hubspot", {"billing_contact": "true"}, ()))


@pytest.fixture
def billing(make_world: Callable[..., Any]) -> Any:
    """A prepared account, at a connection that keeps billing contacts."""
    made = make_world(billing_contact="true")
    made.run(made.connector.prepare())
    return made


def pair(world: Any) -> tuple[str, str]:
    """A contact and a company, by HubSpot's ids."""
    person = world.hubspot.edit("customer", None, {"name": "Ann Payer", "email": "ann@acme.example"})
    firm = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"})
    return person.partition(":")[2], firm.partition(":")[2]


def tie(world: Any, start: str, end: str, what: str = "create", kind: Any = 930, path: str = BOTH) -> tuple[int, Any]:
    """One association, as a naive client sends it."""
    types = kind if isinstance(kind, list) else [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}]
    body = {"inputs": [{"from": {"id": start}, "to": {"id": end}, "types": types}]}
    status, told, _ = world.call("POST", f"{path}/batch/{what}", body)
    return status, told


def kinds(world: Any, start: str, path: str = BOTH) -> dict[str, list[Any]]:
    """What an object is to others, by their ids: (number, label)."""
    status, told, _ = world.call("POST", f"{path}/batch/read", {"inputs": [{"id": start}]})
    assert status in (200, 207)
    return {
        str(one["toObjectId"]): [(kind["typeId"], kind["label"]) for kind in one["associationTypes"]]
        for found in told["results"]
        for one in found["to"]
    }


# ---- the look-alike ------------------------------------------------------------------------------------


def test_a_label_comes_with_the_association_itself_and_each_direction_has_its_own_number(world: Any) -> None:
    """Whoever looks at the first type only sees an unlabelled one; the other end sees other numbers."""
    person, firm = pair(world)
    status, told = tie(world, person, firm)
    assert (status, told["results"][0]["labels"]) == (201, ["Billing contact"])
    assert kinds(world, person) == {firm: [(279, None), (930, "Billing contact")]}
    assert kinds(world, firm, BACK) == {person: [(280, None), (931, "Billing contact")]}
    assert tie(world, person, firm)[0] == 201
    assert sum(one.action == "associate" for one in world.hubspot.mutations) == 1
    assert tie(world, firm, person, kind=280, path=BACK)[1]["results"][0]["labels"] == []


@pytest.mark.parametrize(
    "kind",
    [
        931,  # the other direction's
        14,  # of other types of objects
        999,
        [],
        [{"associationCategory": "USER_DEFINED", "associationTypeId": 930}],
        [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 930}] * 2,
        ["930"],
        None,
    ],
)
def test_a_type_of_no_such_number_in_this_direction_is_refused(world: Any, kind: Any) -> None:
    """207 with the reason; nothing is tied."""
    person, firm = pair(world)
    status, told = tie(world, person, firm, kind=kind)
    assert (status, told["errors"][0]["category"]) == (207, "VALIDATION_ERROR")
    assert kinds(world, person) == {}


def test_only_objects_that_are_there_are_tied(world: Any) -> None:
    """By their own ids: not those that were archived, are of the other type, or were merged away."""
    person, firm = pair(world)
    other = world.hubspot.edit("customer", None, {"name": "Bo", "email": "bo@acme.example"})
    merged = world.hubspot.merge("customer", f"contact:{person}", other).partition(":")[2]
    for start, end in ((firm, person), (person, firm), ("999", firm), (merged, "999")):
        told = tie(world, start, end)[1]
        assert told["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    world.hubspot.delete("customer", f"company:{firm}")
    assert tie(world, merged, firm)[1]["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    status, _, _ = world.call("POST", f"{BOTH}/batch/create", {"inputs": [{"from": {}, "to": {"id": firm}}]})
    assert status == 207


def test_a_label_is_taken_off_alone_and_the_association_with_all_labels(world: Any) -> None:
    """Whoever removes the unlabelled type removes everything; taking off what is not there is fine."""
    person, firm = pair(world)
    tie(world, person, firm)
    tie(world, person, firm, kind=1)
    assert tie(world, person, firm, what="labels/archive")[0] == 204
    assert kinds(world, person)[firm] == [(279, None), (1, "Primary")]
    assert tie(world, person, firm, what="labels/archive")[0] == 204
    assert tie(world, person, firm, what="labels/archive", kind=279)[0] == 204
    assert kinds(world, person) == {}
    assert tie(world, person, firm, what="archive")[0] == 404


def test_a_contact_has_one_primary_company_and_may_be_billed_for_many(world: Any) -> None:
    """The newer primary one takes the older one's place."""
    person, firm = pair(world)
    other = world.hubspot.edit("customer", None, {"name": "Beta", "customer_type": "company"}).partition(":")[2]
    for company in (firm, other):
        tie(world, person, company)
        tie(world, person, company, kind=1)
    assert kinds(world, person) == {
        firm: [(279, None), (930, "Billing contact")],
        other: [(279, None), (1, "Primary"), (930, "Billing contact")],
    }
    assert world.hubspot.objects("customer")[f"contact:{person}"]["billed"] == [f"company:{firm}", f"company:{other}"]


def test_associations_rest_with_what_is_archived_and_move_with_what_is_merged(world: Any) -> None:
    """They come back with it; the survivor is to everybody what both were."""
    person, firm = pair(world)
    tie(world, person, firm)
    world.hubspot.delete("customer", f"company:{firm}")
    assert kinds(world, person) == {}
    world.hubspot.restore("customer", f"company:{firm}")
    assert firm in kinds(world, person)
    other = world.hubspot.edit("customer", None, {"name": "Beta", "customer_type": "company"})
    whole = world.hubspot.merge("customer", other, f"company:{firm}").partition(":")[2]
    assert kinds(world, person) == {whole: [(279, None), (930, "Billing contact")]}
    bo = world.hubspot.edit("customer", None, {"name": "Bo", "email": "bo@acme.example"})
    both = world.hubspot.merge("customer", bo, f"contact:{person}").partition(":")[2]
    assert kinds(world, both) == {whole: [(279, None), (930, "Billing contact")]}


def test_a_contact_of_many_companies_has_them_on_pages(billing: Any) -> None:
    """And who has none is named among the errors."""
    person, first = pair(billing)
    tie(billing, person, first, kind=279)
    firms = [
        billing.hubspot.edit("customer", None, {"name": str(number), "customer_type": "company"}).partition(":")[2]
        for number in range(501)
    ]
    for firm in firms:
        tie(billing, person, firm, kind=279)
    tie(billing, person, firms[-1])
    status, told, _ = billing.call("POST", f"{BOTH}/batch/read", {"inputs": [{"id": person}, {"id": "999"}]})
    assert status == 207
    assert told["errors"][0]["message"] == "No company is associated with contact 999."
    assert len(told["results"][0]["to"]) == 500
    assert billing.remote(billing.see(f"contact:{person}")).part_of == (f"company:{firms[-1]}",)


def test_labels_are_told_by_direction_and_only_between_contacts_and_companies(make_world: Callable[..., Any]) -> None:
    """An account without that label tells so."""
    world = make_world()
    for path, number in ((BOTH, 930), (BACK, 931), ("/crm/v4/associations/contact/company", 930)):
        told = world.call("GET", f"{path}/labels")[1]["results"]
        assert [one["typeId"] for one in told if one["label"] == "Billing contact"] == [number]
    without = make_world(HubSpotSettings(billing_types=(0, 0)))
    for path in (BOTH, BACK):
        assert [one["label"] for one in without.call("GET", f"{path}/labels")[1]["results"]] == [None, "Primary"]
    for method, path in (
        ("GET", "/crm/associations/2026-09/companies/companies/labels"),
        ("GET", "/crm/associations/2026-09/contacts/contacts/labels"),
        ("POST", f"{BOTH}/labels"),
        ("GET", f"{BOTH}/batch/read"),
        ("POST", "/crm/associations/2026-09/contacts/deals/batch/read"),
    ):
        assert world.call(method, path, {"inputs": []})[0] == 404


@pytest.mark.parametrize("lacking", ["crm.objects.contacts.write", "crm.objects.companies.write"])
def test_both_scopes_are_needed_to_tie(make_world: Callable[..., Any], lacking: str) -> None:
    """403 names the one that is missing; reading needs none of them."""
    world = make_world(HubSpotSettings(scopes=SCOPES - {lacking}))
    person, firm = pair(world)
    status, told = tie(world, person, firm)
    assert (status, told["errors"][0]["context"]["requiredGranularScopes"]) == (403, [lacking])
    assert kinds(world, person) == {}


def test_people_tie_by_hand_and_the_event_is_the_company_s(make_world: Callable[..., Any]) -> None:
    """From the company's end alone."""
    world = make_world(HubSpotSettings(webhook_url="https://accord.test/webhooks/crm"))
    person, firm = pair(world)
    world.hubspot.bill(f"contact:{person}", f"company:{firm}", label=PRIMARY)
    world.hubspot.bill(f"contact:{person}", f"company:{firm}")
    world.hubspot.bill(f"contact:{person}", f"company:{firm}", is_removed=True)
    events = [
        (event["fromObjectId"], event["toObjectId"], event["associationRemoved"])
        for one in world.hubspot.due_webhooks(world.clock.now() + 60)
        for event in json.loads(one.delivery.body)
        if event["subscriptionType"] == "company.associationChange"
    ]
    assert sorted(events) == [(int(firm), int(person), removed) for removed in (False, False, True)]


# ---- in neutral words ----------------------------------------------------------------------------------


def contact(billed: Any = "", **properties: str) -> bytes:
    """A contact as a read frames it; `billed` "": not asked."""
    told = "" if billed == "" else f'"billed":{json.dumps(billed)},'
    blank = dict.fromkeys(ON.properties("contact"))
    return f'{{"type":"contact",{told}"object":{json.dumps({"id": "5", "properties": blank | properties})}}}'.encode()


def test_what_a_contact_belongs_to_is_read_where_it_was_asked_for() -> None:
    """Not asked is not nothing."""
    assert ON.read(contact()).part_of is None
    assert ON.read(contact(None)).part_of == ()
    assert ON.read(contact("7;9")).part_of == ("company:7", "company:9")
    company = b'{"type":"company","billed":"7","object":{"id":"5","properties":{}}}'
    assert ON.read(company).part_of is None


def test_a_part_is_a_contact_whatever_its_customer_is() -> None:
    """With the person's fields, our marker, and no external id: it is no customer's own object."""
    wanted = Wanted(fields={"email": " Pay@Acme.example", "phone": "1"}, part="contact", mark="i.m.1")
    assert ON.patch(wanted, None).body == {
        "type": "contact",
        "properties": {"accord_ref": "i.m.1", "email": "pay@acme.example", "phone": "1"},
    }


def test_a_tie_is_a_write_of_its_own_and_none_where_it_is_so() -> None:
    """It goes with nothing else, and only to a company."""
    wanted = Wanted(fields={"part_of": "company:7"}, part="contact")
    assert ON.patch(wanted, contact("9")).body == {"type": "contact", "billed": "7"}
    assert ON.patch(wanted, contact(None)).body == {"type": "contact", "billed": "7"}
    assert ON.patch(wanted, contact()).body == {"type": "contact", "billed": "7"}
    assert ON.patch(wanted, contact("7;9")).is_empty
    for odd in ({"part_of": "company:7", "phone": "1"}, {"part_of": "contact:7"}, {"part_of": None}):
        with pytest.raises(BugError):
            ON.patch(Wanted(fields=odd, part="contact"), contact(None))


@pytest.mark.parametrize("value", ["yes", "1", ""])
def test_the_setting_is_true_or_false(value: str, world: Any) -> None:
    """Anything else is a mistake, found before anything is called."""
    config = ConnectionConfig("crm", "hubspot", {"billing_contact": value}, ())
    with pytest.raises(ConfigError, match="neither true nor false"):
        HubSpotConnector(config, world.vault, world.connector._client._shell)


# ---- over the wire -------------------------------------------------------------------------------------


def made(world: Any, company: str = "7", mark: str = "i.m.1") -> tuple[Any, Any]:
    """A part, made and then tied: both receipts."""
    wanted = Wanted(fields={"email": "pay@acme.example"}, part="contact", mark=mark)
    (first,) = world.run(world.connector.write([world.as_write("create", world.translator.patch(wanted, None).body)]))
    assert isinstance(first, Written), first
    return first, tied(world, first.sighting, company)


def tied(world: Any, seen: Any, company: str) -> Any:
    """The receipt of a tie."""
    body = world.translator.patch(Wanted(fields={"part_of": f"company:{company}"}, part="contact"), seen.raw).body
    (receipt,) = world.run(world.connector.write([world.as_write("update", body, seen.id)]))
    return receipt


def on(part: str, answer: Callable[[HttpRequest], HttpResponse], world: Any) -> None:
    """Calls to some address get an answer that a test makes."""
    world.exchange = lambda request: answer(request) if part in request.url else world.hubspot.respond(request)


def saying(status: int, body: Any) -> Callable[[HttpRequest], HttpResponse]:
    """One answer."""
    return lambda _request: HttpResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())


@pytest.mark.parametrize("types", [(930, 931), (931, 930)])
def test_a_contact_is_tied_by_the_number_that_the_account_tells(make_world: Callable[..., Any], types: Any) -> None:
    """Which of the two numbers is which direction's, HubSpot's documentation does not say."""
    world = make_world(HubSpotSettings(billing_types=types), billing_contact="true")
    world.run(world.connector.prepare())
    firm = pair(world)[1]
    first, second = made(world, firm)
    assert world.remote(first).part_of == ()
    assert world.remote(second).part_of == (f"company:{firm}",)
    assert world.remote(world.see(first.sighting.id)) == world.remote(second)
    assert world.hubspot.objects("customer")[first.sighting.id]["billed"] == [f"company:{firm}"]
    again = world.run(world.connector.find("customer", Probe(mark="i.m.1")))
    assert [world.remote(one).part_of for one in again] == [(f"company:{firm}",)]
    (page, *_) = world.sweep()
    assert {one.id: one.digest for one in page.sightings}[first.sighting.id] == world.see(first.sighting.id).digest


def test_an_update_of_a_tied_contact_keeps_what_it_belongs_to(billing: World) -> None:
    """Whoever raced the write as well: the joined answer is still framed."""
    firm = pair(billing)[1]
    first, second = made(billing, firm)
    done = billing.update(second.sighting, {"phone": "2"})
    assert billing.remote(done).part_of == (f"company:{firm}",)

    def raced(request: HttpRequest) -> HttpResponse:
        answer = billing.hubspot.respond(request)
        if request.url.endswith("/contacts/batch/update"):
            billing.hubspot.edit("customer", first.sighting.id, {"phone": "9"})
        return answer

    billing.exchange = raced
    assert isinstance(done, Written)
    done = billing.update(done.sighting, {"phone": "3"})
    assert (billing.remote(done).fields["phone"], billing.remote(done).part_of) == ("3", (f"company:{firm}",))


def test_an_account_without_that_label_refuses_the_tie_with_the_cure(make_world: Callable[..., Any]) -> None:
    """Nothing is sent that HubSpot would refuse."""
    world = make_world(HubSpotSettings(billing_types=(0, 0)), billing_contact="true")
    world.run(world.connector.prepare())
    second = made(world, pair(world)[1])[1]
    assert isinstance(second, RejectedError)
    assert second.cure == 'set billing_contact = "false" for this connection'


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (saying(500, {}), RetryError),
        (saying(401, {"message": "no"}), ReauthorizeError),
        (saying(200, {"results": "?"}), RetryError),
        (saying(404, {"category": "OBJECT_NOT_FOUND"}), GoneError),
    ],
)
def test_labels_that_cannot_be_read_mean_that_nothing_was_sent(billing: Any, answer: Any, error: Any) -> None:
    """Not unclear: the tie is tried again."""
    firm = pair(billing)[1]
    on("/labels", answer, billing)
    assert isinstance(made(billing, firm)[1], error)


def test_a_tie_to_a_company_that_is_not_there_is_gone_and_spares_the_others(billing: Any) -> None:
    """Found by halves."""
    firm = pair(billing)[1]
    first = made(billing, firm)[0]
    wanted = Wanted(fields={"email": "two@acme.example"}, part="contact", mark="i.m.2")
    (two,) = billing.run(
        billing.connector.write([billing.as_write("create", billing.translator.patch(wanted, None).body)])
    )
    bodies = [{"type": "contact", "billed": "999"}, {"type": "contact", "billed": firm}]
    writes = [billing.as_write("update", body, one.sighting.id) for body, one in zip(bodies, (first, two), strict=True)]
    bad, good = billing.run(billing.connector.write(writes))
    assert isinstance(bad, GoneError)
    assert billing.remote(good).part_of == (f"company:{firm}",)


def test_a_tie_that_cannot_be_read_back_is_unclear(billing: World) -> None:
    """And so is one whose contact has vanished since."""
    firm = pair(billing)[1]
    first = made(billing, firm)[0]
    on("/contacts/batch/read", saying(500, {}), billing)
    assert isinstance(tied(billing, first.sighting, firm), AmbiguousError)

    def vanishing(request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/contacts/batch/read"):
            billing.hubspot.delete("customer", first.sighting.id)
        return billing.hubspot.respond(request)

    billing.exchange = vanishing
    assert isinstance(tied(billing, first.sighting, firm), AmbiguousError)
    billing.exchange = None
    assert isinstance(billing.run(billing.connector.read("customer", [first.sighting.id]))[first.sighting.id], Missing)


def test_an_answer_that_says_nothing_of_ties_does_not_say_that_there_are_none(billing: Any) -> None:
    """A contact lost its company, and an invoice its lines, by an empty answer; a tie counted as made by one."""
    firm = pair(billing)[1]
    first = made(billing, firm)[0]
    on(f"{BOTH}/batch/create", saying(200, {}), billing)
    assert isinstance(tied(billing, first.sighting, firm), AmbiguousError)
    on(f"{BOTH}/batch/read", saying(200, {}), billing)
    with pytest.raises(ReplyError):
        billing.run(billing.connector.read("customer", [first.sighting.id]))


def test_without_the_setting_nothing_more_is_asked(world: Any) -> None:
    """One call less for a hundred contacts."""
    person, firm = pair(world)
    tie(world, person, firm)
    world.requests.clear()
    assert world.remote(world.see(f"contact:{person}")).part_of is None
    assert not any("/associations/" in request.url for request in world.requests)
