"""`python -m tests.simulation --worlds 2000 --seed 1 --jobs 2`: a campaign; exit 1 when a world fails."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import core
from tests.simulation.campaign import as_json, campaign, repeat_command
from tests.simulation.drawing import tape_of
from tests.simulation.planted import run_mutant
from tests.simulation.shrink import shrunk
from tests.simulation.world import Outcome, run_world

REQUIRED_FROM = 500
"""Smaller campaigns cannot be expected to reach every path."""

INTERRUPTED = 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--trace", type=int, default=100, help="trace lines shown of the first world that fails")
    parser.add_argument("--mutant", help="run with this planted bug (tests/simulation/mutants)")
    parser.add_argument("--shrink", action="store_true", help="cut the first failing world down to what it needs")
    parser.add_argument("--digest", action="store_true", help="print each world's digest, for comparing runs")
    parser.add_argument("--json-only", action="store_true", help="print the summary and nothing else")
    parser.add_argument("--stop-at", type=int, help="end after this many worlds failed")
    return parser.parse_args()


def main() -> int:
    """Parse, run, print."""
    options = _options()
    seeds = range(options.seed, options.seed + options.worlds)
    if options.mutant:
        return _run_planted(options)
    if options.digest:
        sys.stdout.writelines(f"{seed} {run_world(tape_of(seed)).digest}\n" for seed in seeds)
        return 0
    summary, failed = campaign(seeds, options.jobs, stop_at=options.stop_at, tell=_tell)
    if failed and not options.json_only:
        _show(failed[0], options)
    sys.stdout.write(as_json(summary, core=core.__file__) + "\n")
    if summary.is_interrupted:
        return INTERRUPTED
    must_reach = options.worlds >= REQUIRED_FROM
    return 1 if failed or (must_reach and summary.never_reached) else 0


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _run_planted(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        catch = run_mutant(options.mutant, Path(folder), first=options.seed, worlds=options.worlds, jobs=options.jobs)
    sys.stdout.write(f"{catch.name}: {catch.problem or 'not seen'} ({catch.worlds} worlds, {catch.seconds} s)\n")
    return 1 if catch.problem else 0


def _show(first: Outcome, options: argparse.Namespace) -> None:
    sys.stdout.write("\n".join(first.trace[-options.trace :]) + "\n")
    sys.stdout.write(f"\nseed {first.seed}: {first.problem}\n{tape_of(first.seed).profile}\n")
    sys.stdout.write(f"again: {repeat_command(first.seed)}\n\n")
    if options.shrink:
        _show_shrunk(first.seed, first.problem)


def _show_shrunk(seed: int, problem: str) -> None:
    tape = shrunk(tape_of(seed), problem)
    outcome = run_world(tape)
    sys.stdout.write("\n".join(outcome.trace) + f"\n\nshrunk: {outcome.problem}\n{tape.profile}\n")
    for event in (*tape.people, *tape.events):
        sys.stdout.write(f"  {event}\n")


if __name__ == "__main__":
    sys.exit(main())
