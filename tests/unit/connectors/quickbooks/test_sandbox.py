"""The look-alike is strict: each rule here is one that a naive client breaks."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from connectors.quickbooks.webhook import QuickBooksWebhooks
from core.errors import TakenError
from core.ports import HttpRequest, Notice
from tests.unit.connectors.quickbooks.conftest import MakeWorld, World

REALM = "/v3/company/9341453908059321"
EVERY = "select * from Customer"


class Api:
    """A client that does what it is told, with a good token."""

    def __init__(self, world: World) -> None:
        """Get a token."""
        self.world = world
        self.headers = {"authorization": f"Bearer {world.token()}"}

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        answer = self.world.company.respond(HttpRequest(method, f"http://q.example{path}", self.headers, content))
        return answer.status, json.loads(answer.body)

    def query(self, text: str) -> tuple[int, Any]:
        """Run a query."""
        return self.call("GET", f"{REALM}/query?query={quote(text)}")

    def post(self, body: object, params: str = "") -> tuple[int, Any]:
        """Create or update."""
        return self.call("POST", f"{REALM}/customer{params}", body)

    def batch(self, items: object, params: str = "") -> tuple[int, Any]:
        """Send a batch."""
        return self.call("POST", f"{REALM}/batch{params}", {"BatchItemRequest": items})

    def names(self, text: str) -> list[str]:
        """Display names that a query finds."""
        return [row["DisplayName"] for row in self.query(text)[1]["QueryResponse"].get("Customer", [])]


def code(answer: tuple[int, Any]) -> str:
    """The code of a fault."""
    found: str = answer[1]["Fault"]["Error"][0]["code"]
    return found


@pytest.fixture
def api(world: World) -> Api:
    """An authorised client of the default company."""
    return Api(world)


# ---- who may call ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer nobody", "Basic x", "Bearer "])
def test_a_wrong_token_is_a_401_with_the_other_letter_case(api: Api, header: str) -> None:
    """Authentication faults come with lower-case names: a parser of "Fault" alone finds none."""
    api.headers = {"authorization": header}
    status, body = api.query("select * from Customer")

    assert status == 401
    assert body["fault"]["error"][0]["code"] == "3200"


def test_an_access_token_dies_after_an_hour(api: Api) -> None:
    """Whoever caches it for longer is shut out."""
    assert api.query("select * from Customer")[0] == 200
    api.world.clock.time += 3600
    assert api.query("select * from Customer")[0] == 401


def test_a_rotated_refresh_token_is_refused(world: World) -> None:
    """The old one works for a grace at most; whoever did not store the new one must ask a person."""
    world.token()
    world.vault.values["refresh_token"] = "sandbox-refresh-token"

    with pytest.raises(KeyError):
        world.token()


def test_a_refresh_token_that_nobody_used_dies_after_a_hundred_days(world: World) -> None:
    """The first one too: a connection that was off for that long needs a person."""
    world.clock.time += 100 * 86_400

    with pytest.raises(KeyError):
        world.token()


def test_a_consent_ends_after_five_years_however_often_its_tokens_rotate(world: World) -> None:
    """PROVIDERS §6: whoever counts on a refresh for ever stops one day without a warning."""
    ends = world.clock.time + 5 * 365 * 86_400
    while world.clock.time < ends - 90 * 86_400:
        world.token()
        world.clock.time += 90 * 86_400
    world.token()
    world.clock.time = ends

    with pytest.raises(KeyError):
        world.token()


def test_a_refresh_token_is_told_to_end_with_the_consent(world: World) -> None:
    """PROVIDERS §6: not a hundred days later."""
    ends = world.clock.time + 5 * 365 * 86_400
    while world.clock.time < ends - 90 * 86_400:
        world.token()
        world.clock.time += 90 * 86_400
    form = f"grant_type=refresh_token&refresh_token={world.vault.values['refresh_token']}".encode()
    basic = {"authorization": "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1jbGllbnQtc2VjcmV0"}
    answer = world.company.respond(HttpRequest("POST", "http://q.example/oauth2/v1/tokens/bearer", basic, form))

    assert json.loads(answer.body)["x_refresh_token_expires_in"] == ends - world.clock.time


def test_another_realm_is_forbidden(api: Api) -> None:
    """Tokens belong to one company."""
    status, body = api.call("GET", "/v3/company/1/query?query=x")

    assert (status, body["Fault"]["Error"][0]["code"]) == (403, "3100")


@pytest.mark.parametrize(
    "path", ["/", "/v3/company", f"{REALM}/vendor/1", f"{REALM}/companyinfo/1", f"{REALM}/customer"]
)
def test_an_unknown_resource_is_not_found(api: Api, path: str) -> None:
    """Nothing is answered that the real thing does not have."""
    assert api.call("GET", path)[0] == 404


def test_other_token_requests_are_refused(world: World) -> None:
    """Basic auth and a known grant are needed."""
    ask = HttpRequest("POST", "http://q.example/oauth2/v1/tokens/bearer", {}, b"grant_type=refresh_token")
    basic = {"authorization": "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1jbGllbnQtc2VjcmV0"}
    other = HttpRequest("POST", ask.url, basic, b"grant_type=password")

    assert world.company.respond(ask).status == 401
    assert b"unsupported_grant_type" in world.company.respond(other).body


# ---- creating --------------------------------------------------------------------------------------


def test_a_created_customer_has_all_that_quickbooks_computes(api: Api) -> None:
    """The answer of a write is the complete object."""
    status, body = api.post({"DisplayName": "  Acme ", "PrimaryEmailAddr": {"Address": " a@b.example "}, "Balance": 5})
    row = body["Customer"]

    assert status == 200
    assert (row["DisplayName"], row["PrintOnCheckName"], row["FullyQualifiedName"]) == ("Acme", "Acme", "Acme")
    assert (row["Id"], row["SyncToken"], row["Active"], row["sparse"], row["domain"]) == ("1", "0", True, False, "QBO")
    assert (row["Balance"], row["CurrencyRef"], row["PrimaryEmailAddr"]) == (
        0,
        {"value": "USD"},
        {"Address": "a@b.example"},
    )
    assert row["MetaData"]["LastUpdatedTime"].endswith("-08:00")
    for name in ("1", "15"):
        assert (
            api.post({"DisplayName": name, "TaxExemptionReasonId": name})[1]["Customer"]["TaxExemptionReasonId"] == name
        )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "6080"),
        ({"DisplayName": " "}, "6080"),
        ({"DisplayName": "x" * 501}, "2050"),
        ({"DisplayName": "a:b"}, "2040"),
        ({"DisplayName": "a\tb"}, "2040"),
        ({"DisplayName": "a\nb"}, "2040"),
        ({"DisplayName": "a\u0000b"}, "2040"),
        ({"DisplayName": "Łódź"}, "2040"),
        ({"DisplayName": 5}, "2010"),
        ({"DisplayName": "a", "Colour": "red"}, "2010"),
        ({"DisplayName": "a", "BillAddr": {"Street": "x"}}, "2010"),
        ({"DisplayName": "a", "BillAddr": {"Line6": "x"}}, "2010"),
        ({"DisplayName": "a", "BillAddr": "x"}, "2010"),
        ({"DisplayName": "a", "Active": "true"}, "2010"),
        ({"DisplayName": "a", "CompanyName": "x" * 101}, "2050"),
        ({"DisplayName": "a", "PrimaryPhone": {"FreeFormNumber": "1" * 31}}, "2050"),
        ({"DisplayName": "a", "PrimaryEmailAddr": {"Address": "nobody"}}, "2210"),
        ({"DisplayName": "a", "BillAddr": {"PostalCode": "1" * 31}}, "2050"),
        ({"DisplayName": "a", "BillAddr": {"Line1": "1" * 501}}, "2050"),
        ({"DisplayName": "a", "ShipAddr": {"City": "c" * 256}}, "2050"),
        ({"DisplayName": "a", "ShipAddr": {"CountrySubDivisionCode": "c" * 256}}, "2050"),
        ({"DisplayName": "a", "ShipAddr": {"City": "Łódź"}}, "2040"),
        ({"DisplayName": "a", "Title": "t" * 17}, "2050"),
        ({"DisplayName": "a", "FamilyName": "n" * 101}, "2050"),
        ({"DisplayName": "a", "FamilyName": "a:b"}, "2040"),
        ({"DisplayName": "a", "PrintOnCheckName": "n" * 111}, "2050"),
        ({"DisplayName": "a", "PrimaryEmailAddr": {"Address": "a" * 95 + "@b.com"}}, "2050"),
        ({"DisplayName": "a", "WebAddr": {"URI": "https://" + "w" * 993}}, "2050"),
        ({"DisplayName": "a", "Notes": "n" * 2001}, "2050"),
        ({"DisplayName": "a", "ResaleNum": "1" * 17}, "2050"),
        ({"DisplayName": "a", "TaxExemptionReasonId": "0"}, "2010"),
        ({"DisplayName": "a", "TaxExemptionReasonId": "16"}, "2010"),
        ({"DisplayName": "vendor inc"}, "6240"),
        ([], "2010"),
        (b"{", "500"),
        (b"\xff", "500"),
    ],
)
def test_what_quickbooks_refuses_is_refused(make_world: MakeWorld, body: object, expected: str) -> None:
    """With HTTP 400 and the code that tells why."""
    api = Api(make_world(other_names=frozenset({"Vendor Inc"})))
    answer = api.post(body)

    assert (answer[0], code(answer)) == (400, expected)
    assert api.world.company.objects("customer") == {}


LENGTHS = {
    "DisplayName": 500, "Title": 16, "GivenName": 100, "MiddleName": 100, "FamilyName": 100, "Suffix": 16,
    "CompanyName": 100, "PrintOnCheckName": 110, "Notes": 2000, "ResaleNum": 16, "PrimaryPhone.FreeFormNumber": 30,
    "AlternatePhone.FreeFormNumber": 30, "Mobile.FreeFormNumber": 30, "Fax.FreeFormNumber": 30,
    "WebAddr.URI": 1000, "PrimaryEmailAddr.Address": 100,
    **{f"{address}.Line{line}": 500 for address in ("BillAddr", "ShipAddr") for line in range(1, 6)},
    **{f"BillAddr.{part}": 255 for part in ("City", "Country", "CountrySubDivisionCode")}, "BillAddr.PostalCode": 30,
}  # fmt: skip


@pytest.mark.parametrize(("name", "most"), LENGTHS.items())
def test_a_text_has_the_published_length_and_not_one_character_more(api: Api, name: str, most: int) -> None:
    """PROVIDERS §5: whoever lets QuickBooks cut it finds that it refuses."""

    def named(length: int) -> dict[str, Any]:
        outer, _, inner = name.partition(".")
        text = "a@b.example".rjust(length, "x")
        return {"DisplayName": "A", **({outer: {inner: text}} if inner else {outer: text})}

    assert code(api.post(named(most + 1))) == "2050"
    assert api.post(named(most))[0] == 200


@pytest.mark.parametrize("separator", [":", "\t", "\n"])
@pytest.mark.parametrize(
    "name", ["DisplayName", *"Title GivenName MiddleName FamilyName Suffix PrintOnCheckName".split()]
)
def test_a_name_has_no_colon_tab_or_new_line(api: Api, name: str, separator: str) -> None:
    """PROVIDERS §5: they part the names of sub-customers; in notes they are fine."""
    assert code(api.post({"DisplayName": "A", name: f"a{separator}b"})) == "2040"
    assert api.post({"DisplayName": "A", "Notes": f"a{separator}b"})[0] == 200


def test_times_have_the_offset_of_the_company_and_of_the_day(make_world: MakeWorld) -> None:
    """Summer moves it by an hour, and another company's is not Pacific: who compares texts is wrong about the order."""
    api = Api(make_world(time_zone="Europe/Berlin", access_seconds=1e9))
    api.world.clock.time = datetime(2027, 3, 28, 0, 59, tzinfo=UTC).timestamp()
    for name, later in (("A", 0), ("B", 120)):
        api.world.clock.time += later
        api.post({"DisplayName": name})
    rows = api.query(f"{EVERY} orderby Metadata.LastUpdatedTime")[1]
    told = [row["MetaData"]["LastUpdatedTime"] for row in rows["QueryResponse"]["Customer"]]

    assert (told, rows["time"]) == (
        ["2027-03-28T01:59:00+01:00", "2027-03-28T03:01:00+02:00"],
        "2027-03-28T03:01:00.000+02:00",
    )
    since = "select * from Customer where Metadata.LastUpdatedTime >= '2027-03-28T02:01:00+01:00'"
    assert api.names(since) == ["B"]
    unescaped = api.call("GET", f"{REALM}/cdc?entities=Customer&changedSince=2027-03-28T02:01:00+01:00")
    assert code(unescaped) == "2020"


def test_outside_the_us_every_script_is_fine(make_world: MakeWorld) -> None:
    """ISO-8859-1 is a limit of US companies."""
    assert Api(make_world(country="PL")).post({"DisplayName": "Łódź"})[0] == 200


def test_the_name_may_come_from_its_parts(api: Api) -> None:
    """DisplayName or one part of a person's name."""
    assert api.post({"GivenName": "Ada", "FamilyName": "Byron"})[1]["Customer"]["DisplayName"] == "Ada Byron"


def test_a_name_is_taken_over_inactive_ones_and_whatever_its_case(api: Api) -> None:
    """A second customer of the same name, even beside a sleeping one, is refused."""
    api.world.seed(2)
    api.world.company.delete("customer", "1")
    taken = api.post({"DisplayName": "customer 1"})

    assert code(taken) == "6240"
    assert taken[1]["Fault"]["Error"][0]["Detail"] == "The name supplied already exists. : null"
    assert code(api.post({"DisplayName": "Customer 0 (deleted)"})) == "6240"
    assert api.post({"DisplayName": "Customer 0"})[0] == 200
    assert code(move(api, "3", DisplayName="CUSTOMER 1")) == "6240"
    assert move(api, "3", DisplayName="CUSTOMER 0")[0] == 200


def test_a_repeated_requestid_gives_the_first_answer_even_with_another_body(api: Api) -> None:
    """A client that reuses a key for a corrected body believes it was written."""
    first = api.post({"DisplayName": "A"}, "?requestid=r1")
    again = api.post({"DisplayName": "B"}, "?requestid=r1")

    assert again == first
    assert len(api.world.company.objects("customer")) == 1
    assert code(api.post({"DisplayName": "C"}, "?requestid=" + "r" * 51)) == "2050"


def test_without_lags_an_access_token_lives_as_long_as_ever(make_world: MakeWorld) -> None:
    """It was refreshed every second, and the look-alike behaved like no company."""
    api = Api(make_world(lag_scale=0.0))
    api.world.clock.time += 3599
    assert api.query("select * from Customer")[0] == 200
    api.world.clock.time += 1
    assert api.query("select * from Customer")[0] == 401


def test_a_requestid_is_forgotten_after_a_day(make_world: MakeWorld) -> None:
    """Whoever repeats a create after that makes another customer, or meets its own name."""
    api = Api(make_world(access_seconds=1e9))
    api.post({"DisplayName": "A"}, "?requestid=r1")
    api.world.clock.time += 86_399
    assert api.post({"DisplayName": "A"}, "?requestid=r1")[0] == 200

    api.world.clock.time += 1
    assert code(api.post({"DisplayName": "A"}, "?requestid=r1")) == "6240"


def test_whether_a_refusal_is_repeated_is_a_setting(make_world: MakeWorld) -> None:
    """Undocumented: the connector must live with both."""
    for keeps, expected in ((True, 400), (False, 200)):
        api = Api(make_world(keeps_refusals=keeps))
        api.post({"DisplayName": "a:b"}, "?requestid=r")
        assert api.post({"DisplayName": "ab"}, "?requestid=r")[0] == expected


def test_without_multicurrency_nothing_says_a_currency_whatever_is_owed(make_world: MakeWorld) -> None:
    """Whoever takes the currency of a customer from the answer has none, with a balance too."""
    api = Api(make_world(is_multicurrency=False))
    api.post({"DisplayName": "A"})
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 10, "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}
    api.call("POST", f"{REALM}/invoice", {"CustomerRef": {"value": "1"}, "Line": [sold]})
    row = api.call("GET", f"{REALM}/customer/1")[1]["Customer"]

    assert (row["Balance"], "CurrencyRef" in row) == (10, False)


def test_another_currency_needs_multicurrency(make_world: MakeWorld) -> None:
    """And is never changed afterwards."""
    single, multi = Api(make_world(is_multicurrency=False)), Api(make_world())
    assert code(single.post({"DisplayName": "A", "CurrencyRef": {"value": "EUR"}})) == "6000"
    assert multi.post({"DisplayName": "A", "CurrencyRef": {"value": "EUR"}})[0] == 200
    change = {"Id": "1", "SyncToken": "0", "sparse": True, "CurrencyRef": {"value": "USD"}}
    assert code(multi.post(change)) == "6000"


def test_a_customer_may_be_created_inactive(api: Api) -> None:
    """It is renamed at once, and its plain name stays free."""
    row = api.post({"DisplayName": "A", "Active": False, "BillAddr": {"Line1": "a", "City": None}})[1]["Customer"]

    assert (row["DisplayName"], row["BillAddr"]) == ("A (deleted)", {"Line1": "a"})
    assert api.world.company.neutral("customer")["1"]["name"] == "A"
    assert api.post({"DisplayName": "A"})[0] == 200


def test_customers_cannot_be_deleted(api: Api) -> None:
    """Only made inactive."""
    api.world.seed(1)

    assert code(api.post({"Id": "1", "SyncToken": "0"}, "?operation=delete")) == "500"


# ---- updating --------------------------------------------------------------------------------------


def test_an_update_needs_the_current_synctoken(api: Api) -> None:
    """The optimistic lock."""
    api.world.seed(1)

    assert code(api.post({"Id": "1", "sparse": True, "Notes": "n"})) == "2020"
    assert code(api.post({"Id": "1", "SyncToken": "4", "sparse": True, "Notes": "n"})) == "5010"
    assert api.post({"Id": "1", "SyncToken": "0", "sparse": True, "Notes": "n"})[1]["Customer"]["SyncToken"] == "1"
    assert code(api.post({"Id": "1", "SyncToken": "0", "sparse": True, "Notes": "m"})) == "5010"
    assert code(api.post({"Id": "9", "SyncToken": "0", "sparse": True})) == "610"


def test_a_full_update_blanks_what_it_leaves_out(api: Api) -> None:
    """Forget "sparse" once, and the notes of every customer are gone."""
    api.world.seed(1, email="a@b.example", phone="1")
    row = api.post({"Id": "1", "SyncToken": "0", "DisplayName": "Customer 0", "CompanyName": "C"})[1]["Customer"]

    assert "PrimaryEmailAddr" not in row
    assert "PrimaryPhone" not in row
    assert (row["CompanyName"], row["Active"], row["PrintOnCheckName"]) == ("C", True, "Customer 0")
    assert code(api.post({"Id": "1", "SyncToken": "1", "CompanyName": "D"})) == "6080"


def test_a_sparse_update_ignores_null_and_blanks_by_a_blank_text(api: Api) -> None:
    """A client that clears with null clears nothing, and is told 200."""
    api.world.seed(1, email="a@b.example", legal_name="L")
    row = api.post({"Id": "1", "SyncToken": "0", "sparse": True, "CompanyName": None, "PrimaryEmailAddr": None})[1]
    assert (row["Customer"]["CompanyName"], "PrimaryEmailAddr" in row["Customer"]) == ("L", True)

    blanks = {"CompanyName": "", "PrimaryEmailAddr": {"Address": ""}, "DisplayName": "", "PrintOnCheckName": ""}
    row = api.post({"Id": "1", "SyncToken": "1", "sparse": True, **blanks})[1]["Customer"]
    assert "CompanyName" not in row
    assert "PrimaryEmailAddr" not in row
    assert row["DisplayName"] == row["PrintOnCheckName"] == "Customer 0"


def test_a_tax_identifier_is_masked_in_every_answer(api: Api) -> None:
    """A client that writes back the whole object as it read it destroys the number."""
    row = api.post({"DisplayName": "A", "PrimaryTaxIdentifier": "123456789"})[1]["Customer"]
    found = api.query(EVERY)[1]["QueryResponse"]["Customer"][0]

    assert row["PrimaryTaxIdentifier"] == found["PrimaryTaxIdentifier"] == "XXXX56789"
    assert api.world.company.objects("customer")["1"]["PrimaryTaxIdentifier"] == "123456789"
    api.post({"Id": "1", "SyncToken": "0", "sparse": True, "Notes": "n"})
    assert api.world.company.objects("customer")["1"]["PrimaryTaxIdentifier"] == "123456789"
    api.post({**found, "SyncToken": "1"})
    assert api.world.company.objects("customer")["1"]["PrimaryTaxIdentifier"] == "XXXX56789"


def test_an_address_is_replaced_whole(api: Api) -> None:
    """Sending the new street alone loses the city."""
    api.world.seed(1, billing_address={"line1": "1 High St", "city": "Bath", "country": "GB"})
    row = api.post({"Id": "1", "SyncToken": "0", "sparse": True, "BillAddr": {"Line1": "2 Low St"}})[1]["Customer"]

    assert row["BillAddr"] == {"Line1": "2 Low St"}


def test_deactivating_renames_and_reactivating_by_api_does_not(api: Api) -> None:
    """The name of an inactive customer carries a suffix, and keeps it until someone takes it off."""
    api.world.seed(1)
    off = api.post({"Id": "1", "SyncToken": "0", "sparse": True, "Active": False})[1]["Customer"]
    on = api.post({"Id": "1", "SyncToken": "1", "sparse": True, "Active": True})[1]["Customer"]
    api.world.company.delete("customer", "1")
    api.world.company.edit("customer", "1", {"status": "active", "name": "Back"})
    api.world.company.delete("customer", "1")
    api.world.company.edit("customer", "1", {"status": "active"})

    assert off["DisplayName"] == "Customer 0 (deleted)"
    assert on["DisplayName"] == "Customer 0 (deleted)"
    assert api.world.company.objects("customer")["1"]["DisplayName"] == "Back"


# ---- reading ---------------------------------------------------------------------------------------


def test_a_query_has_defaults_that_hide_things(api: Api) -> None:
    """100 rows at most, and active ones only, unless asked."""
    api.world.seed(150)
    api.world.company.delete("customer", "1")

    assert len(api.names("select * from Customer")) == 100
    assert len(api.names("select * from Customer maxresults 1000")) == 149
    assert len(api.names("SELECT * FROM Customer WHERE Active IN (true, false) MAXRESULTS 1000")) == 150
    assert api.names("select * from Customer where Id in ('1')") == []
    assert api.query("select count(*) from Customer")[1]["QueryResponse"] == {"totalCount": 149}
    assert api.call("GET", f"{REALM}/customer/1")[1]["Customer"]["Active"] is False
    assert api.query("select * from Customer where DisplayName = 'x'")[1]["QueryResponse"] == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select Id from Customer", "4000"),
        ("select * from Customer where Id = '1' or Id = '2'", "4000"),
        ("select * from Vendor", "4000"),
        ("select * from Customer where", "4000"),
        ("select * from Customer where Id like '1'", "4000"),
        ("select * from Customer where Id = 1", "4000"),
        ("select * from Customer where Id in ()", "4000"),
        ("select * from Customer where DisplayName = 'O'Neill'", "4000"),
        ("select * from Customer where Metadata.LastUpdatedTime > 'yesterday'", "4000"),
        ("select * from Customer maxresults many", "4000"),
        ("select * from Customer ;", "4000"),
        ("select * from Customer join", "4000"),
        ("", "4000"),
        ("select * from Customer where Colour = 'red'", "4001"),
        ("select * from Customer maxresults 1001", "4001"),
        ("select * from Customer startposition 0", "4001"),
    ],
)
def test_what_the_query_language_lacks_is_refused(api: Api, text: str, expected: str) -> None:
    """No OR, no projection, no join, no other entity; quotes must be escaped."""
    answer = api.query(text)

    assert (answer[0], code(answer)) == (400, expected)


def test_queries_find_order_and_page(api: Api) -> None:
    """Ids are texts: 10 comes before 9."""
    for number in range(1, 12):
        api.world.clock.time += 1
        api.world.company.edit("customer", None, {"name": f"N{number:02}", "email": f"{number}@b.example"})
    api.world.company.edit("customer", None, {"name": "O'Neill \\ Sons"})
    times = api.world.company.objects("customer")["10"]["MetaData"]["LastUpdatedTime"]

    assert api.names("select * from Customer where DisplayName = 'O\\'Neill \\\\ Sons'") == ["O'Neill \\ Sons"]
    assert api.names("select * from Customer where Id in ('9', '10') orderby Id") == ["N10", "N09"]
    assert api.names("select * from Customer order by DisplayName desc maxresults 2") == ["O'Neill \\ Sons", "N11"]
    assert api.names("select * from Customer orderby DisplayName asc startposition 3 maxresults 2") == ["N03", "N04"]
    since = f"{EVERY} where Metadata.LastUpdatedTime >= '{times}' orderby Metadata.LastUpdatedTime"
    assert api.names(since)[:2] == ["N10", "N11"]
    assert api.names("select * from Customer where PrimaryEmailAddr = '3@b.example'") == ["N03"]
    assert api.names(f"{EVERY} where Metadata.CreateTime < '{times}' and Id > '8'") == ["N09"]


def test_paging_by_offset_misses_who_moved_up_when_somebody_was_edited(api: Api) -> None:
    """PROVIDERS §3: a position counts what is there now. Who goes on from a time misses nobody."""
    for number in range(1, 7):
        api.world.clock.time += 1
        api.world.company.edit("customer", None, {"name": f"N{number}"})
    by_time = "select * from Customer orderby Metadata.LastUpdatedTime"
    first = api.names(f"{by_time} startposition 1 maxresults 3")
    last = api.world.company.objects("customer")["3"]["MetaData"]["LastUpdatedTime"]
    api.world.clock.time += 1
    api.world.company.edit("customer", "1", {"phone": "1"})

    second = api.names(f"{by_time} startposition 4 maxresults 3")
    assert {f"N{number}" for number in range(1, 7)} - {*first, *second} == {"N4"}
    since = f"{EVERY} where Metadata.LastUpdatedTime >= '{last}' orderby Metadata.LastUpdatedTime"
    assert api.names(since) == ["N3", "N4", "N5", "N6", "N1"]


def test_the_feed_does_not_tell_of_a_customer_that_was_merged_away(api: Api) -> None:
    """Names are never deleted there, so no entry says Deleted: who asks only for changes keeps it for ever."""
    api.world.seed(3)
    api.world.clock.time += 10
    since = datetime.fromtimestamp(api.world.clock.now() - 5, UTC).isoformat()
    api.world.company.merge("customer", "1", "2")

    cdc = f"{REALM}/cdc?entities=Customer&changedSince={quote(since)}"
    told = api.call("GET", cdc)[1]["CDCResponse"][0]["QueryResponse"][0]["Customer"]
    assert [one["Id"] for one in told] == ["1"]


def test_a_query_may_be_posted(api: Api) -> None:
    """Long ones do not fit an address."""
    api.world.seed(1)

    assert api.call("POST", f"{REALM}/query", b"select * from Customer")[1]["QueryResponse"]["maxResults"] == 1


def test_the_change_feed_stops_at_a_thousand_and_has_no_pages(api: Api) -> None:
    """And does not say so."""
    first = api.world.clock.now()
    api.world.seed(1200)
    since = api.world.company.objects("customer")["1"]["MetaData"]["LastUpdatedTime"]
    cdc = f"{REALM}/cdc?entities=Customer&changedSince={quote(since)}"
    result = api.call("GET", cdc)[1]["CDCResponse"][0]["QueryResponse"][0]

    assert first == api.world.clock.now()
    assert len(result["Customer"]) == result["maxResults"] == 1000
    api.world.clock.time += 31 * 86400
    api.headers = {"authorization": f"Bearer {api.world.token()}"}
    assert api.call("GET", cdc)[0] == 400
    assert code(api.call("GET", f"{REALM}/cdc?entities=Customer&changedSince=x")) == "2020"
    assert code(api.call("GET", f"{REALM}/cdc?entities=Vendor")) == "2020"


@pytest.mark.parametrize(("tells_newest", "told"), [(False, "1"), (True, "1001")])
def test_the_thousand_are_of_all_entities_and_which_they_are_is_not_told(
    make_world: MakeWorld, *, tells_newest: bool, told: str
) -> None:
    """PROVIDERS §3: who asks for several at once hears nothing of the last, the deleted among them."""
    api = Api(make_world(tells_newest_changes=tells_newest, access_seconds=1e9))
    first = datetime.fromtimestamp(api.world.clock.now(), UTC).isoformat()
    api.world.seed(998)
    for number in range(3):
        api.call("POST", f"{REALM}/payment", {"CustomerRef": {"value": "1"}, "TotalAmt": number})
    api.call("POST", f"{REALM}/payment?operation=delete", {"Id": "3", "SyncToken": "0"})

    def feed(entities: str) -> list[Any]:
        cdc = f"{REALM}/cdc?entities={entities}&changedSince={quote(first)}"
        return list(api.call("GET", cdc)[1]["CDCResponse"][0]["QueryResponse"])

    assert [one["maxResults"] for one in feed("Customer,Payment")] == [998, 2]
    assert [one["maxResults"] for one in feed("Payment,Customer")] == [3, 997]
    api.post({"DisplayName": "Last but two"})
    assert feed("Customer,Payment")[1]["maxResults"] == 1
    api.post({"DisplayName": "Thousandth"})
    assert feed("Customer,Payment")[1] == {}
    api.post({"DisplayName": "One more"})
    found = {one["Id"] for one in feed("Customer")[0]["Customer"]}
    assert (told in found, len(found)) == (True, 1000)


def test_an_address_has_8192_characters_at_most(world: World) -> None:
    """The body says so in HTML: who has a long query posts it."""
    token = {"authorization": f"Bearer {world.token()}"}
    for length, status in ((8192, 400), (8193, 414)):
        address = f"http://q.example{REALM}/query?query=".ljust(length, "x")
        assert world.company.respond(HttpRequest("GET", address, token)).status == status


def test_a_merged_customer_is_not_found(api: Api) -> None:
    """Its name is free again; the survivor changed."""
    api.world.seed(2)
    api.world.company.merge("customer", "1", "2")

    assert code(api.call("GET", f"{REALM}/customer/2")) == "610"
    assert list(api.world.company.objects("customer")) == ["1"]
    assert api.post({"DisplayName": "Customer 1"})[0] == 200


def test_a_merged_customer_may_stay_inactive(api: Api) -> None:
    """PROVIDERS has both; as with anybody who is made inactive, the name is free again."""
    api.world.seed(2)
    api.world.company.settings = dataclasses.replace(api.world.company.settings, keeps_absorbed=True)
    api.world.company.merge("customer", "1", "2")

    shown = api.world.company.objects("customer")
    assert (shown["2"]["Active"], shown["2"]["DisplayName"]) == (False, "Customer 1 (deleted)")
    assert shown["1"]["Active"]
    assert api.post({"DisplayName": "Customer 1"})[0] == 200


def test_reads_are_counted(api: Api) -> None:
    """CorePlus counts successful reads; writes are free."""
    api.world.seed(1)
    api.query("select * from Customer")
    api.query("select nonsense")
    api.call("GET", f"{REALM}/customer/1")
    api.post({"DisplayName": "B"})

    assert api.world.company.reads == 2


# ---- batches ---------------------------------------------------------------------------------------


def test_a_batch_fails_item_by_item_inside_http_200(api: Api) -> None:
    """Whoever looks at the status alone loses the failures."""
    items = [
        {"bId": "a", "operation": "create", "Customer": {"DisplayName": "A"}},
        {"bId": "b", "operation": "create", "Customer": {"DisplayName": "a:b"}},
        {"bId": "c", "operation": "delete", "Customer": {"Id": "1"}},
        {"bId": "d", "Query": "select * from Customer"},
        {"bId": "e", "operation": "create"},
    ]
    status, body = api.batch(items)
    answers = body["BatchItemResponse"]

    assert status == 200
    assert [answer["bId"] for answer in answers] == ["a", "b", "c", "d", "e"]
    assert answers[0]["Customer"]["Id"] == "1"
    assert [answers[n]["Fault"]["Error"][0]["code"] for n in (1, 2, 4)] == ["2040", "500", "500"]
    # the items do not see each other
    assert answers[3]["QueryResponse"] == {}
    assert api.names(EVERY) == ["A"]


def test_a_batch_has_limits_of_its_own(api: Api) -> None:
    """Thirty payloads; with a requestid, short ids."""
    item = {"bId": "x" * 11, "operation": "create", "Customer": {"DisplayName": "A"}}

    assert code(api.batch([{**item, "bId": str(n)} for n in range(31)])) == "1040"
    for odd in ([item, item], [{"operation": "create"}], ["x"]):
        assert code(api.batch(odd)) == "2010"
    assert code(api.batch([item], "?requestid=r")) == "2050"
    assert code(api.batch([], "")) == "2020"
    assert code(api.batch([{**item, "bId": "x"}], "?requestid=" + "r" * 37)) == "2050"
    assert api.batch([item])[1]["BatchItemResponse"][0]["Customer"]["Id"] == "1"
    item = {**item, "Customer": {"DisplayName": "B"}}
    assert api.batch([{**item, "bId": "x"}], "?requestid=r") == api.batch([{**item, "bId": "x"}], "?requestid=r")
    assert len(api.world.company.objects("customer")) == 2
    assert code(api.call("POST", f"{REALM}/batch", {"BatchItemRequest": {"bId": "x"}})) == "2020"


def test_whether_a_batch_takes_ten_or_thirty_is_a_setting(make_world: MakeWorld) -> None:
    """PROVIDERS §1: Intuit's own pages disagree."""
    query = [{"bId": str(number), "Query": EVERY} for number in range(11)]
    for most in (10, 30):
        api = Api(make_world(batch_most=most))
        assert code(api.batch(query)) == "1040" if most == 10 else api.batch(query)[0] == 200


# ---- limits and faults -----------------------------------------------------------------------------


def test_limits_are_enforced_per_second_per_minute_and_for_batches(make_world: MakeWorld) -> None:
    """With the body that Intuit sends, and without a Retry-After."""
    api = Api(make_world(enforce_limits=True))
    statuses = [api.query("select * from Customer")[0] for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert code(api.query("select * from Customer")) == "3001"

    api.world.clock.time += 60
    batches = []
    for _ in range(41):
        api.world.clock.time += 0.2
        batches.append(api.batch([{"bId": "1", "Query": "select * from Customer"}])[0])
    assert batches == [200] * 40 + [429]

    api.world.clock.time += 60
    calls = []
    for _ in range(501):
        api.world.clock.time += 0.11
        calls.append(api.query("select * from Customer")[0])
    assert calls == [200] * 500 + [429]


def test_a_monthly_allowance_refuses_the_next_read_and_no_write(make_world: MakeWorld) -> None:
    """CorePlus: successful reads until the month ends, wherever they are made. Waiting a minute does not help."""
    api = Api(make_world(enforce_limits=True, monthly_reads=3, access_seconds=1e9))
    query = {"bId": "1", "Query": EVERY}
    assert code(api.query("select nonsense")) == "4000"
    assert [api.query(EVERY)[0], api.batch([query])[0], api.query(EVERY)[0]] == [200] * 3

    api.world.clock.time += 3600
    assert code(api.query(EVERY)) == "3001"
    assert code(api.call("POST", f"{REALM}/query", EVERY.encode())) == "3001"
    assert api.call("GET", f"{REALM}/cdc?entities=Customer&changedSince=2026-11-20")[0] == 429
    assert api.batch([query])[1]["BatchItemResponse"][0]["Fault"]["Error"][0]["code"] == "003001"
    assert api.post({"DisplayName": "A"})[0] == 200
    assert api.world.company.limits.reads_this_month == 3
    api.world.clock.time += 31 * 86_400
    assert api.query(EVERY)[0] == 200


def test_a_429_can_be_had_for_the_asking_and_tells_no_wait(world: World) -> None:
    """For faults, in Intuit's own words: whoever counts on a Retry-After finds none."""
    answer = world.company.too_many(HttpRequest("GET", f"http://q.example{REALM}/query", {}))

    assert (answer.status, json.loads(answer.body)["Fault"]["type"]) == (429, "SERVICE")
    assert "retry-after" not in answer.headers


def test_an_item_of_a_batch_may_be_throttled_inside_http_200_under_another_spelling(api: Api) -> None:
    """PROVIDERS §1: whoever looks for status 429, or for code 3001, takes it for refused for good."""
    api.world.company.fail_next("throttled_item")
    items = [{"bId": name, "operation": "create", "Customer": {"DisplayName": name}} for name in ("a", "b")]
    status, body = api.batch(items)

    assert status == 200
    assert body["BatchItemResponse"][0]["Fault"]["Error"][0]["code"] == "003001"
    assert body["BatchItemResponse"][1]["Customer"]["DisplayName"] == "b"


def test_http_200_may_carry_a_fault(api: Api) -> None:
    """An answer must be read before it is believed."""
    api.world.company.fail_next("fault_in_200")
    status, body = api.query("select * from Customer")

    assert status == 200
    assert body["Fault"]["type"] == "SystemFault"
    assert "QueryResponse" in api.query("select * from Customer")[1]


# ---- people ----------------------------------------------------------------------------------------


def test_a_persons_edit_shows_in_the_truth_and_in_the_neutral_view(world: World) -> None:
    """The oracle of every end-to-end test."""
    company = world.company
    company.edit(
        "customer",
        None,
        {
            "name": "Acme", "legal_name": "Acme Ltd", "email": "a@b.example", "phone": "1", "url": "https://a.example",
            "currency": "EUR", "billing_address": {"line1": "1 High St", "country": "GB"}, "metadata.plan": "gold",
            "external_id": "x", "extra": {"Notes": "vip"},
        },
    )  # fmt: skip
    company.edit("customer", "1", {"phone": None, "shipping_address": {"city": "Bath"}})
    company.edit(
        "customer", None, {"name": "Odd", "extra": {"BillAddr": {"Line3": "x"}, "ShipAddr": {"Country": "Nowhere"}}}
    )

    assert company.objects("customer")["1"]["Notes"] == "vip"
    assert company.neutral("customer")["1"] == {
        "name": "Acme", "legal_name": "Acme Ltd", "email": "a@b.example", "phone": None, "url": "https://a.example",
        "currency": "EUR", "status": "active", "billing_address": {"line1": "1 High St", "country": "GB"},
        "shipping_address": {"city": "Bath"}, "parent": None,
    }  # fmt: skip
    assert not {"billing_address", "shipping_address"} & set(company.neutral("customer")["2"])


def test_a_sub_customer_has_a_full_name_and_its_parent_in_the_truth(world: World) -> None:
    """As QuickBooks shows it: the name of everybody above, a level, and a job."""
    world.seed(1)
    world.company.edit("customer", None, {"name": "Child", "parent": "1"})

    row = world.company.objects("customer")["2"]
    assert (row["FullyQualifiedName"], row["ParentRef"], row["Job"]) == ("Customer 0:Child", {"value": "1"}, True)


def test_a_person_cannot_take_a_name_either(world: World) -> None:
    """The UI refuses what the API refuses."""
    world.seed(2)

    with pytest.raises(TakenError):
        world.company.edit("customer", None, {"name": "CUSTOMER 0"})
    with pytest.raises(TakenError):
        world.company.edit("customer", "1", {"name": "Customer 1"})
    world.company.edit("customer", "1", {"name": "CUSTOMER 0"})


def test_every_change_is_on_record_with_its_caller(api: Api) -> None:
    """Tests ask who wrote what, and under which key."""
    api.world.seed(2)
    api.post({"Id": "1", "SyncToken": "0", "sparse": True, "Notes": "n"}, "?requestid=r1")
    api.world.company.delete("customer", "2")
    api.world.company.merge("customer", "1", "2")

    seen = [(m.caller, m.action, m.id, m.request_key) for m in api.world.company.mutations]
    assert seen == [
        ("person", "create", "1", None),
        ("person", "create", "2", None),
        ("accord", "update", "1", "r1"),
        ("person", "delete", "2", None),
        ("person", "merge", "1", None),
    ]


# ---- webhooks --------------------------------------------------------------------------------------


def delivered(world: World, status: int | None = 200) -> list[Any]:
    """Make what is due now, once."""
    due = list(world.company.due_webhooks(world.clock.now()))
    for outgoing in due:
        world.company.webhook_answered(outgoing.id, status, world.clock.now())
    return due


@pytest.mark.parametrize("is_old", [True, False])
def test_deliveries_are_signed_and_say_whom_they_concern(make_world: MakeWorld, *, is_old: bool) -> None:
    """Both formats; people's edits and our own writes alike."""
    world = make_world(webhook_url="https://accord.example/w", is_old_webhook_format=is_old)
    api, hooks = Api(world), QuickBooksWebhooks()
    world.seed(2)
    api.post({"DisplayName": "Ours"})
    world.company.delete("customer", "2")
    world.company.merge("customer", "1", "2")

    (outgoing,) = delivered(world)
    hooks.verify(outgoing.delivery, ["sandbox-verifier-token"], 0)

    notices = sorted(hooks.notices(outgoing.delivery.body), key=lambda notice: (notice.merged, notice.remote_id))
    realm = world.company.settings.realm_id
    assert notices == [
        *[Notice(kind="customer", remote_id=n, account=realm) for n in ("1", "2", "2", "3")],
        Notice(kind="customer", remote_id="1", merged=("2",), account=realm),
    ]
    assert delivered(world) == []


def test_documents_have_events_too_and_what_settles_one_changes_it(make_world: MakeWorld) -> None:
    """PROVIDERS §4: also those of our own writes; a payment changes its invoice without anybody writing to it."""
    world = make_world(webhook_url="https://accord.example/w")
    api = Api(world)
    api.post({"DisplayName": "A"})
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 10, "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}
    api.call("POST", f"{REALM}/invoice", {"CustomerRef": {"value": "1"}, "Line": [sold]})
    lines = [{"Amount": 4, "LinkedTxn": [{"TxnType": "Invoice", "TxnId": "1"}]}]
    api.call("POST", f"{REALM}/payment", {"CustomerRef": {"value": "1"}, "TotalAmt": 4, "Line": lines})
    api.call("POST", f"{REALM}/payment?operation=update&include=void", {"Id": "2", "SyncToken": "0"})
    api.call("POST", f"{REALM}/invoice?operation=delete", {"Id": "1", "SyncToken": "2"})

    (outgoing,) = delivered(world)
    told = sorted((one["type"], one["intuitentityid"]) for one in json.loads(outgoing.delivery.body))
    assert told == [
        ("qbo.customer.created.v1", "1"),
        ("qbo.invoice.created.v1", "1"),
        ("qbo.invoice.deleted.v1", "1"),
        ("qbo.invoice.updated.v1", "1"),
        ("qbo.invoice.updated.v1", "1"),
        ("qbo.payment.created.v1", "2"),
        ("qbo.payment.voided.v1", "2"),
    ]


def test_events_come_in_no_order(make_world: MakeWorld) -> None:
    """Whoever believes the last event of an array is wrong for good."""
    world = make_world(webhook_url="https://accord.example/w")
    world.seed(30)

    (outgoing,) = delivered(world)
    told = [event["intuitentityid"] for event in json.loads(outgoing.delivery.body)]
    assert told != sorted(told, key=int)
    assert len(set(told)) == 30


@pytest.mark.parametrize("is_old", [True, False])
def test_a_merge_may_not_name_the_absorbed_customer(make_world: MakeWorld, *, is_old: bool) -> None:
    """The data of an event is not guaranteed: the survivor is known, the other must be found gone."""
    world = make_world(
        webhook_url="https://accord.example/w", is_webhook_data_filled=False, is_old_webhook_format=is_old
    )
    world.seed(2)
    delivered(world)
    world.company.merge("customer", "1", "2")

    (outgoing,) = delivered(world)
    found = Notice(kind="customer", remote_id="1", account=world.company.settings.realm_id)
    assert QuickBooksWebhooks().notices(outgoing.delivery.body) == [found]


def test_later_events_wait_for_the_first_to_be_acknowledged(make_world: MakeWorld) -> None:
    """Head-of-line: one bad answer to one event silences the whole company."""
    world = make_world(webhook_url="https://accord.example/w")
    world.seed(1)
    (first,) = delivered(world, 500)
    world.company.edit("customer", "1", {"phone": "1"})
    waits = []
    for expected in (10, 20, 30, 300, 1200, 7200, 14400, 21600, 21600):
        assert delivered(world) == []
        world.clock.time += expected
        (again,) = delivered(world, None)
        waits.append((again.id, again.delivery.body, again.attempt))

    assert [wait[:2] for wait in waits] == [(first.id, first.delivery.body)] * 9
    assert [wait[2] for wait in waits] == list(range(1, 10))
    world.clock.time += 21600
    assert delivered(world)[0].id == first.id
    assert delivered(world)[0].id != first.id
    world.company.webhook_answered("nobody", 200, world.clock.now())


def test_an_acknowledgement_is_awaited_for_three_seconds(make_world: MakeWorld) -> None:
    """A receiver that works before it answers is redelivered to for ever, and holds all later events up."""
    world = make_world(webhook_url="https://accord.example/w")
    world.seed(1)

    assert [outgoing.patience_seconds for outgoing in delivered(world)] == [3.0]


def test_no_address_no_webhooks_and_settings_may_change_while_it_runs(make_world: MakeWorld) -> None:
    """A sandbox learns the daemon's address after it was started."""
    world = make_world(lag_scale=0.5)
    world.seed(1)
    assert delivered(world) == []
    world.company.settings = dataclasses.replace(world.company.settings, webhook_url="https://accord.example/w")
    world.company.edit("customer", "1", {"phone": "1"})

    (first,) = delivered(world, 503)
    world.clock.time += 5
    assert delivered(world)[0].id == first.id


def test_a_delivery_under_way_is_not_made_twice(make_world: MakeWorld) -> None:
    """The receiver may be slow."""
    world = make_world(webhook_url="https://accord.example/w")
    world.seed(1)

    assert len(world.company.due_webhooks(world.clock.now())) == 1
    assert len(world.company.due_webhooks(world.clock.now())) == 0


def below(api: Api, name: str, parent: str) -> tuple[int, Any]:
    """Create a sub-customer."""
    return api.post({"DisplayName": name, "ParentRef": {"value": parent}, "Job": True})


def move(api: Api, child: str, **attributes: object) -> tuple[int, Any]:
    """Update the place of a customer."""
    token = api.world.company.objects("customer")[child]["SyncToken"]
    return api.post({"Id": child, "SyncToken": token, "sparse": True, **attributes})


def test_a_parent_is_there_and_active_and_goes_with_being_a_job(api: Api) -> None:
    """A stranger, an inactive one, and one attribute without the other are refused."""
    api.world.seed(2)
    assert code(below(api, "Child", "99")) == "2500"
    api.world.company.edit("customer", "2", {"status": "inactive"})
    assert code(below(api, "Child", "2")) == "610"
    assert code(api.post({"DisplayName": "Child", "ParentRef": {"value": "1"}})) == "6000"
    assert code(api.post({"DisplayName": "Child", "Job": True})) == "6000"
    status, told = below(api, "Child", "1")
    assert (status, told["Customer"]["FullyQualifiedName"], told["Customer"]["Level"]) == (200, "Customer 0:Child", 1)
    assert code(move(api, "3", Job=False)) == "6000"
    status, told = move(api, "3", Job=False, ParentRef={"value": ""})
    assert (status, told["Customer"]["FullyQualifiedName"], told["Customer"].get("Level")) == (200, "Child", None)


def test_there_are_four_levels_below_the_top_and_no_circles(api: Api) -> None:
    """Whoever moves takes along everybody below."""
    api.world.seed(1)
    for number in range(1, 5):
        assert below(api, f"Level {number}", str(number))[0] == 200
    assert code(below(api, "Level 5", "5")) == "6000"
    assert below(api, "Other", "1")[0] == 200
    assert code(move(api, "2", ParentRef={"value": "6"}, Job=True)) == "6000"
    assert code(move(api, "2", ParentRef={"value": "4"}, Job=True)) == "6000"
    assert code(move(api, "2", ParentRef={"value": "2"}, Job=True)) == "6000"
    assert move(api, "3", ParentRef={"value": "6"}, Job=True)[0] == 200


def test_full_names_follow_everybody_above(api: Api) -> None:
    """A new name, and a merge, are shown by all below."""
    api.world.seed(2)
    below(api, "Child", "1")
    below(api, "Grandchild", "3")
    move(api, "1", DisplayName="Renamed")
    shown = api.world.company.objects("customer")
    assert shown["4"]["FullyQualifiedName"] == "Renamed:Child:Grandchild"
    api.world.company.merge("customer", "2", "1")
    assert shown["4"]["FullyQualifiedName"] == "Customer 1:Child:Grandchild"
    assert api.world.company.neutral("customer")["3"]["parent"] == "2"
    api.world.company.merge("customer", "4", "3")
    assert (shown["4"]["Job"], shown["4"]["FullyQualifiedName"]) == (False, "Grandchild")


def test_a_person_cannot_make_a_circle_either(world: World) -> None:
    """The UI refuses what the API refuses."""
    world.seed(2)
    world.company.edit("customer", "2", {"parent": "1"})
    with pytest.raises(ValueError, match="business validation"):
        world.company.edit("customer", "1", {"parent": "2"})
    world.company.edit("customer", "2", {"parent": None})
    assert world.company.neutral("customer")["2"]["parent"] is None
