"""Objects that a create of ours may have made, of which nobody knows yet whether it did: nobody gets them meanwhile."""

from __future__ import annotations

from typing import Literal

from core.model.holds import LOST_CREATE, candidates_of
from core.model.remote import Remote, parse_mark
from core.store import holds, intents
from core.store.database import Tx
from core.sync.hub import Connection
from core.sync.ladder import name_as_there


class Unsure:
    """What is in doubt at a connection now."""

    def __init__(self, tx: Tx, connection: Connection) -> None:
        """Ask the database once for all objects."""
        self._connection = connection
        open_ = [one for one in intents.all_open(tx, connection.name) if one.action == "create"]
        self._waiting = {one.mapping_id: name_as_there(connection, one.wanted) for one in open_}
        self.creating = self._waiting.keys()
        """Mappings whose own create is under way or in doubt."""
        self.until = min((one.resolve_after or 0.0 for one in open_), default=0.0)
        """When the first of them is looked into: before that, another look would only cost its call."""
        asked = holds.listing(tx, connection=connection.name, reason=LOST_CREATE)
        self._asked = {name for one in asked for name in candidates_of(one.detail)}
        self.askers = {one.subject[2:] for one in asked}
        """Mappings that wait for a person: linked to another object, nobody would say whose the one in question is."""

        said = holds.listing(tx, connection=connection.name, reason=LOST_CREATE, state="answered")
        self.strangers = {
            (one.subject[2:], name) for one in said if one.answer == "create" for name in candidates_of(one.detail)
        }
        """Mappings and objects of which a person said that they do not belong together."""

    def may_have_made(self, remote_id: str) -> bool:
        """Whether an object of which nothing but the id is known may be what another customer's create has made."""
        return bool(self._waiting) or remote_id in self._asked

    def why(self, remote: Remote) -> Literal["under way", "perhaps", "asked", ""]:
        """`under way`: its create is to be answered yet; `perhaps`: it may be one of those; `asked`: a person is."""
        if remote.id in self._asked:
            return "asked"
        if not self._waiting:
            return ""
        mark = parse_mark(remote.accord_ref)
        if mark is not None:
            return "under way" if mark.mapping in self._waiting else ""
        if name_as_there(self._connection, remote.fields) in self._waiting.values():
            return "under way"
        # without a marker nothing tells it from anybody's once a person has renamed it there
        return "" if self._connection.manifest.has_marker else "perhaps"
