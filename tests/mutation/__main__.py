"""Whether a test notices every small change to the code that decides and judges.

`python -m tests.mutation [AT_ONCE]`, in the environment of `make mutation`: changes one thing at a time, runs the
tests that come by there, and prints what stayed alive, as diffs, and a table by module. Exit 1 when more than 5 % of a
module's mutants are alive. Which modules and which tests: `[tool.mutmut]` in pyproject.toml. What stayed alive and why
it may: docs/proof.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MOST_ALIVE: Final = 0.05
DEAD: Final = frozenset({"killed", "timeout"})
MUTMUT: Final = Path(sys.executable).with_name("mutmut")


def mutmut(*arguments: str) -> str:
    """What one of its commands printed."""
    return subprocess.run([MUTMUT, *arguments], check=True, capture_output=True, text=True).stdout


def verdicts(printed: str) -> dict[str, str]:
    """The verdict on each mutant, by its name, out of lines such as `core.model.merge.x_winner__mutmut_3: killed`."""
    found = (line.strip().rpartition(": ") for line in printed.splitlines() if "__mutmut_" in line)
    return {name: verdict for name, _, verdict in found}


def module_of(mutant: str) -> str:
    """The module that a mutant is of; the last part of its name is the function."""
    return mutant.rpartition(".")[0].replace(".", "/") + ".py"


def table(found: Mapping[str, str]) -> tuple[list[str], bool]:
    """A line for each module, and whether few enough are alive in every one of them."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, verdict in found.items():
        counts[module_of(name)][verdict if verdict in DEAD else "alive"] += 1
    lines = [f"{'module':34}{'mutants':>8}{'killed':>8}{'timeout':>8}{'alive':>8}"]
    for name, count in sorted(counts.items()):
        numbers = "".join(f"{number:8}" for number in (count["killed"], count["timeout"], count["alive"]))
        lines.append(f"{name:34}{count.total():8}{numbers}")
    return lines, all(count["alive"] <= MOST_ALIVE * count.total() for count in counts.values())


def main(at_once: str = "2") -> int:
    """Run all of it anew: mutmut keeps the verdicts on functions that were not edited, whatever their tests became."""
    shutil.rmtree("mutants", ignore_errors=True)
    subprocess.run([MUTMUT, "run", "--max-children", at_once], check=True)
    found = verdicts(mutmut("results", "--all", "true"))
    lines, is_fine = table(found)
    for name, verdict in found.items():
        if verdict not in DEAD:
            print(mutmut("show", name))
    print("\n".join(lines))
    return 0 if found and is_fine else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
