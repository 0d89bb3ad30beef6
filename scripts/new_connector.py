"""Write a new connector that works, and its tests, from scripts/template.

    python -m scripts.new_connector acme

It speaks to a generic REST API and to a look-alike of it. What to change, in which order: connectors/NAME/README.md.
"""
# ruff: noqa: INP001 (a script, not a package)

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.errors import AccordError, InvalidInputError

ROOT: Final = Path(__file__).parents[1]
TEMPLATE: Final = ROOT / "scripts" / "template"
STANDS_FOR_THE_NAME: Final = "acme"
# shorter than a connection's name may be: it is in class names, and lines have an end
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
_TAKEN: Final = {
    "registry": "in accord.toml it is Accord's own store",
    "hold": "in accord.toml it is a question for a person",
    "sandbox": "it is the built-in look-alikes",
    "http": "it is the shared client",
    **dict.fromkeys(("core", "config", "connectors", "jobs", "scripts", "tests"), "it is a package of Accord's"),
    "test": "its tests could not be told from all others",
}
"""What cannot be a provider's name, and why."""


def write(name: str) -> list[Path]:
    """Write connectors/<name> and its tests; returns the two folders. Raises InvalidInputError and writes nothing."""
    folders = [ROOT / "connectors" / name, ROOT / "tests" / "unit" / "connectors" / name]
    _check(name, folders)
    try:
        for source in sorted(TEMPLATE.rglob("*")):
            if source.is_file() and "__pycache__" not in source.parts:
                target = ROOT / _named(str(source.relative_to(TEMPLATE)), name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(_named(source.read_text(encoding="utf-8"), name), encoding="utf-8")
        _tidy(folders)
    except BaseException:
        for one in folders:
            shutil.rmtree(one, ignore_errors=True)
        raise
    return folders


def _check(name: str, folders: Sequence[Path]) -> None:
    cure = "NAME=beacon, say"
    if not _NAME.fullmatch(name):
        limit = "1 to 16 of a-z and 0-9, a letter first"
        raise InvalidInputError(f"{name!r} can be no folder, class and connection at once", field="NAME", limit=limit)
    if why := "it is a word of Python" if keyword.iskeyword(name) else _TAKEN.get(name):
        problem = f"{name!r} means something else already: {why}"
        raise InvalidInputError(problem, field="NAME", cure=f"take another; {cure}")
    for one in folders:
        if one.exists():
            problem = f"{one.relative_to(ROOT)} is there already"
            raise InvalidInputError(problem, field="NAME", cure="take another name, or remove that folder first")


def _named(text: str, name: str) -> str:
    return text.replace(STANDS_FOR_THE_NAME, name).replace(STANDS_FOR_THE_NAME.capitalize(), name.capitalize())


def _tidy(folders: Sequence[Path]) -> None:
    # a longer or shorter name breaks lines elsewhere
    for step in (["check", "--fix-only", "--select=I"], ["format"]):
        command = [sys.executable, "-m", "ruff", *step, "--quiet", *map(str, folders)]
        subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603


def main() -> None:
    """Read the name, write the folders, say what comes next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the provider: lower-case letters and digits")
    name = parser.parse_args().name
    try:
        folders = write(name)
    except AccordError as error:
        sys.exit(str(error))
    told = [f"wrote {one.relative_to(ROOT)}" for one in folders]
    told += [
        "it works as it is, against its own look-alike:",
        f"  .venv/bin/python -m pytest -q tests/contract/test_connector.py tests/unit/connectors/{name} -k {name}",
        f"now make it the real one: connectors/{name}/README.md says what to change, in which order",
    ]
    sys.stdout.write("\n".join([*told, ""]))


if __name__ == "__main__":
    main()
