"""The real database without SQLAlchemy's way to it: the same SQL on the same SQLite, at a tenth of the cost.

Most of what a world cost was the preparation of statements that had been prepared ten thousand times. What is asked,
in which transactions, and what comes of it is the same; `test_worlds.py` plays worlds on both and compares.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler

from core.store.database import Database, Tx, storage_errors
from core.store.tables import METADATA

T = TypeVar("T")

KEPT_STATEMENTS: Final = 4000
"""The driver's own cache: it holds 128, and a world uses more."""

GUARDED: Final = frozenset({("update", "customers"), ("delete", "dirty"), ("update", "intents")})
"""Statements with a condition that says "only if nobody was here meanwhile"."""

_NOTHING: Final[Mapping[str, Any]] = {}
_NO_ROWS: Final[list[Any]] = []


class Result:
    """What core asks of SQLAlchemy's result, over rows that are read already."""

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        """Rows as of SQLAlchemy's: tuples with names."""
        self._rows, self.rowcount = rows, rowcount

    def __iter__(self) -> Iterator[Any]:
        """Each row."""
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        """All rows."""
        return self._rows

    def first(self) -> Any:
        """One row, or None."""
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        """The only row."""
        (row,) = self._rows
        return row

    def scalar_one(self) -> Any:
        """The only row's first value."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        """The same, or None without a row."""
        return self.one()[0] if self._rows else None


_Plan: TypeAlias = tuple[str, tuple[tuple[str, int], ...]]


class _Row(tuple[Any, ...]):
    """A row: a subclass for each statement knows the columns."""

    __slots__ = ()
    names: tuple[str, ...] = ()

    @property
    def _mapping(self) -> dict[str, Any]:
        return dict(zip(self.names, self, strict=True))


def _row_class(names: tuple[str, ...]) -> type[_Row]:
    fields: dict[str, Any] = {name: property(itemgetter(at)) for at, name in enumerate(names)}
    return type("_NamedRow", (_Row,), {**fields, "names": names, "__slots__": ()})


class _Program:
    """One compiled statement, for given names of parameters."""

    def __init__(self, compiled: SQLCompiler, names: Sequence[str], brought: Sequence[sa.BindParameter[Any]]) -> None:
        """`brought`: the values that the statement itself has, in the order in which its likes have theirs."""
        if compiled.insert_prefetch or compiled.update_prefetch or compiled.literal_execute_params:
            raise NotImplementedError(f"quick databases have no place for this: {compiled}")
        compiled.construct_params(dict.fromkeys(names), extracted_parameters=brought)  # raises when one is not given
        self._compiled, self._sql = compiled, str(compiled)
        self.guards = _guarded(compiled)
        self._given, self._brought = _sources(compiled, set(names))
        own = {*dict(self._given), *dict(self._brought)}
        self._fixed = {name: bind.value for bind, name in compiled.bind_names.items() if name not in own}
        assert not any(bind.callable for bind in (*brought, *compiled.bind_names))
        self._changes = tuple(compiled._bind_processors.items())
        self._expanding = tuple(sorted(compiled.bind_names[one] for one in compiled.post_compile_params))
        self.writes = compiled.isinsert or compiled.isupdate or compiled.isdelete
        self._keys = self._given_alone()
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._row: type[_Row] | None = None

    def _given_alone(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]] | None:
        """How all values are taken as they are given, by position; None where more is to be done."""
        if self._fixed or self._brought or self._changes or self._expanding:
            return None
        keys = dict(self._given)
        wanted = [keys[name] for name in self._compiled.positiontup or ()]
        if len(wanted) > 1:
            return itemgetter(*wanted)
        return (lambda given: (given[wanted[0]],)) if wanted else (lambda _given: ())

    def bound(
        self, parameters: Mapping[str, Any], brought: Sequence[sa.BindParameter[Any]]
    ) -> tuple[str, Sequence[Any]]:
        """SQL and its values by position."""
        if self._keys is not None:
            return self._sql, self._keys(parameters)
        values: dict[str, Any] = dict(self._fixed)
        for name, at in self._brought:
            values[name] = brought[at].value
        for name, key in self._given:
            values[name] = parameters[key]
        for name, change in self._changes:
            if name in values:
                values[name] = change(values[name])  # type: ignore[operator]  # none is a tuple of them
        if not self._expanding:
            plan = self._plans.get(()) or self._planned((), values)
            return plan[0], [values[name] for name, _ in plan[1]]
        lengths = tuple([len(values[name]) for name in self._expanding])
        plan = self._plans.get(lengths) or self._planned(lengths, values)
        return plan[0], [values[name] if at < 0 else values[name][at] for name, at in plan[1]]

    def _planned(self, lengths: tuple[int, ...], values: Mapping[str, Any]) -> _Plan:
        """The SQL for IN lists of these lengths, and where each of its values comes from."""
        sql = self._sql
        names: Sequence[str] | None = self._compiled.positiontup
        if self._expanding:
            expanded = self._compiled._process_parameters_for_postcompile(dict(values))
            sql, names = expanded.statement, expanded.positiontup
        within = {f"{name}_{at + 1}": (name, at) for name in self._expanding for at in range(len(values[name]))}
        plan = self._plans[lengths] = (sql, tuple(within.get(name, (name, -1)) for name in names or ()))
        return plan

    def rows(self, cursor: sqlite3.Cursor) -> list[Any]:
        """What the statement gives back; nothing for one that changes rows."""
        if self._row is None:
            if cursor.description is None:
                return _NO_ROWS
            self._row = _row_class(tuple([one[0] for one in cursor.description]))
        found = cursor.fetchall()
        return list(map(self._row, found)) if found else found


def _guarded(compiled: SQLCompiler) -> str:
    """The table that a guarded statement changes; "" for any other statement."""
    kind = "update" if compiled.isupdate else "delete" if compiled.isdelete else ""
    table = str(compiled.statement.table.name) if kind else ""  # type: ignore[union-attr]  # of an update or delete
    return table if (kind, table) in GUARDED else ""


def _sources(compiled: SQLCompiler, names: set[str]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]:
    """For each bound name: the parameter that is given for it, or the place among what the statement brings."""
    assert compiled.cache_key is not None
    assert compiled._cache_key_bind_match is not None
    alike = compiled._cache_key_bind_match[0]
    places = {bind: at for at, one in enumerate(compiled.cache_key.bindparams) for bind in alike[one]}
    binds = compiled.bind_names.items()
    given = {name: bind.key if bind.key in names else name for bind, name in binds if {bind.key, name} & names}
    brought = {name: places[bind] for bind, name in binds if name not in given and bind in places}
    return tuple(given.items()), tuple(brought.items())


class _Compiler:
    """Statements by what they are built of, and those that are built once by themselves."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self.dialect = dialect
        self._programs: dict[Any, _Program] = {}

    def program(self, statement: Any, names: Collection[str]) -> tuple[_Program, Any]:
        """The program, and the values that the statement itself brings."""
        own = statement.__dict__.get("_quick")
        columns = tuple(names)
        if own is not None and own[0] == columns:
            return cast("tuple[_Program, Any]", own[1:])
        key = statement._generate_cache_key()
        program = self._programs.get((key.key, columns))
        if program is None:
            made = statement._compiler(self.dialect, cache_key=key, column_keys=list(names))
            program = self._programs[key.key, columns] = _Program(made, columns, key.bindparams)
        statement.__dict__["_quick"] = (columns, program, key.bindparams)
        return program, key.bindparams


@cache
def _compiler() -> _Compiler:
    """The one of all quick databases: what was prepared for one serves the others."""
    engine = sa.create_engine("sqlite://")
    engine.connect().close()  # a dialect knows what its database can do once it has seen one
    return _Compiler(engine.dialect)


class _QuickTx(Tx):
    """A transaction on the driver's connection."""

    def __init__(
        self, driver: sqlite3.Connection, compiler: _Compiler, fenced: Counter[str], *, may_write: bool
    ) -> None:
        self.dialect = "sqlite"
        self._after = []
        self._driver, self._compiler, self._fenced, self._may_write = driver, compiler, fenced, may_write

    def execute(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run one statement."""
        given = parameters or _NOTHING
        program, extracted = self._compiler.program(statement, given)
        if program.writes and not self._may_write:
            raise RuntimeError(f"a read wrote something: {statement}")
        sql, values = program.bound(given, extracted)
        try:
            cursor = self._driver.execute(sql, values)
        except sqlite3.IntegrityError as error:
            raise IntegrityError(sql, None, error) from error
        if program.guards and cursor.rowcount == 0:
            self._fenced[program.guards] += 1
        return Result(program.rows(cursor), cursor.rowcount)

    def rows(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """All rows of a query."""
        return self.execute(statement, parameters).all()

    def many(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows`."""
        for row in rows:
            self.execute(statement, row)

    load = many


class QuickDatabase(Database):
    """A database in memory that can be emptied: with it, what was prepared for one world serves the next."""

    def __init__(self, *, has_tables: bool = True) -> None:
        """Make the tables, unless another database is going to be copied into this one."""
        super().__init__(f"sqlite://?cached_statements={KEPT_STATEMENTS}", is_direct=True)
        if has_tables:
            METADATA.create_all(self.engine)
        self._driver = cast("sqlite3.Connection", self.engine.raw_connection().driver_connection)
        self._compiler = _compiler()
        self.fenced: Counter[str] = Counter()
        """By table: how often a guarded statement found that somebody had been there, and changed nothing."""

    def empty(self) -> None:
        """As it was made: nothing in the tables gives numbers that outlive their rows."""
        self.fenced.clear()
        self.run_now(lambda _tx: [self._driver.execute(f"DELETE FROM {name}") for name in METADATA.tables])  # noqa: S608

    def run_now(self, work: Callable[[Tx], T]) -> T:
        """One write transaction."""
        tx = _QuickTx(self._driver, self._compiler, self.fenced, may_write=True)
        with storage_errors():
            self._driver.execute("BEGIN IMMEDIATE")
            try:
                result = work(tx)
            except BaseException:
                self._driver.execute("ROLLBACK")
                raise
            self._driver.execute("COMMIT")
        tx.committed()
        return result

    def read_now(self, work: Callable[[Tx], T]) -> T:
        """One snapshot that must not write: nobody else writes while `work` runs, so it needs no transaction."""
        try:
            return work(_QuickTx(self._driver, self._compiler, self.fenced, may_write=False))
        except (sqlite3.Error, UnicodeEncodeError):
            with storage_errors():
                raise
