"""Tables and diagrams in docs that say what the code says. `python -m tests.docs.tables` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from core.model.holds import CHOICES, TEXTS
from core.model.lifecycle import STATES
from core.model.policy import DEFAULT_RULES, METADATA_RULE, Guard

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "docs" / "policy.md"
DOCUMENTS = ROOT / "docs" / "documents.md"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def default_rules() -> str:
    """The default ownership table."""
    rules = {**DEFAULT_RULES, "metadata.*": METADATA_RULE}
    rows = [(f"`{name}`", rule.flow, ", ".join(rule.ranks) or "hold", rule.clear) for name, rule in rules.items()]
    return _table(("field", "flow", "on_conflict, best first", "clear"), rows)


def guard() -> str:
    """The default thresholds."""
    return _table(
        ("key in `[guard]`", "default"),
        [(f"`{name}`", f"{value:g}") for name, value in msgspec.structs.asdict(Guard()).items()],
    )


def holds() -> str:
    """Every reason, its words and its choices."""
    rows = [(f"`{name}`", text, ", ".join(f"`{one}`" for one in CHOICES[name])) for name, text in TEXTS.items()]
    return _table(("reason", "what it means", "choices"), rows)


def states() -> str:
    """What may become of a document of each kind, drawn."""
    return "\n\n".join(f"{kind.capitalize().replace('_', ' ')}s:\n\n{_drawn(table)}" for kind, table in STATES.items())


def _drawn(table: Mapping[str, Sequence[str]]) -> str:
    steps = [(state, after) for state, some in table.items() for after in some or ("[*]",)]
    arrows = [f"    {state} --> {after}" for state, after in (("[*]", next(iter(table))), *steps)]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    direction LR", *arrows, "```"])


BLOCKS: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "default rules": (POLICY, default_rules),
    "guard": (POLICY, guard),
    "holds": (POLICY, holds),
    "states": (DOCUMENTS, states),
}


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^>]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


def written(name: str) -> str | None:
    """What stands in the document now; None where the block is missing."""
    found = _block(name).search(BLOCKS[name][0].read_text(encoding="utf-8"))
    return found[2].strip() if found else None


def main() -> None:
    """Write every block anew."""
    for name, (page, build) in BLOCKS.items():
        table = build()
        text = page.read_text(encoding="utf-8")
        page.write_text(_block(name).sub(partial(_filled, table), text), encoding="utf-8")


def _filled(table: str, found: re.Match[str]) -> str:
    return f"{found[1]}{table}\n{found[3]}"


if __name__ == "__main__":
    main()
