"""How many metadata keys a record may have: an edit may not add to too many, and may always take some away."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from core.model.validate import MAX_METADATA_KEYS, check_room
from core.model.values import Value


def keys(number: int) -> dict[str, Value]:
    """A record with so many metadata keys, and a name, which is none."""
    return {"name": "Ada", **{f"metadata.key{place}": "x" for place in range(number)}}


@pytest.mark.parametrize(
    ("had", "has"),
    [
        (0, MAX_METADATA_KEYS),
        (MAX_METADATA_KEYS + 5, MAX_METADATA_KEYS + 4),
        (MAX_METADATA_KEYS + 5, MAX_METADATA_KEYS + 5),
    ],
)
def test_a_record_takes_the_keys_of_its_limit_and_one_with_more_may_be_edited(had: int, has: int) -> None:
    """A provider may have told of more: such a record is no prison."""
    check_room(keys(had), keys(has))


def test_blank_keys_take_no_room() -> None:
    """A key that was cleared is none."""
    check_room({}, keys(MAX_METADATA_KEYS) | {"metadata.old": None, "metadata.older": ""})


@pytest.mark.parametrize("had", [0, MAX_METADATA_KEYS, MAX_METADATA_KEYS + 1])
def test_one_key_more_than_the_limit_is_refused_with_the_limit_and_what_to_do(had: int) -> None:
    """Unlimited keys would make a record that no page, no CSV row and no provider takes."""
    has = max(had, MAX_METADATA_KEYS) + 1
    with pytest.raises(InvalidInputError) as refused:
        check_room(keys(had), keys(has))
    assert refused.value.field == "metadata"
    assert f"{has} keys" in str(refused.value)
    assert (refused.value.limit, refused.value.cure) == (
        f"{MAX_METADATA_KEYS} keys",
        "clear keys that nobody needs, or keep them elsewhere",
    )
