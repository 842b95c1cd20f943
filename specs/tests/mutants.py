"""A mutant: a plugin that is faulty in one way, and the requirement that must see it. Run: prints the table of all."""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from pathlib import Path

from kit_runs import run_each

MODULES = {
    "bus": "faulty_bus",
    "journal": "unsound",
    "memory": "faulty_memory",
    "planner": "faulty_planner",
    "plugin": "faulty_plugin",
    "policy": "faulty_policy",
    "provider": "faulty_provider",
    "source": "faulty_source",
    "tool": "faulty_tool",
}
"""The module of each kind; its `MUTANTS` says which requirement sees which harness."""


def mutants_of(kind):
    """Name of a faulty harness → the requirement that is meant to see it."""
    return importlib.import_module(MODULES[kind]).MUTANTS


def try_mutants(kind, folder):
    """Name of each mutant → the requirements that it failed, of those meant for it, and what the kit said."""
    only = [] if kind in {"planner", "plugin"} else ["-k", "asyncio"]
    runs = {name: [f"{MODULES[kind]}:{name}", "--require", asked, *only] for name, asked in mutants_of(kind).items()}
    found = {}
    for name, (code, output) in run_each(runs, folder, hurried=True).items():
        seen = re.findall(r"^-+ ([A-Z]+-\d\d) \((?:MUST|SHOULD)\) -", output, re.MULTILINE) if code == 1 else []
        found[name] = (sorted(set(seen)), output)
    return found


def main():
    """Print mutant → requirement that caught it, kind by kind; the number of those that escaped is the exit code."""
    escaped = 0
    print("| kind | mutant | meant for | caught by |\n|---|---|---|---|")
    for kind in MODULES:
        with tempfile.TemporaryDirectory() as folder:
            results = try_mutants(kind, Path(folder))
        for name, asked in mutants_of(kind).items():
            seen = results[name][0]
            escaped += seen != [asked]
            print(f"| {kind} | {name.removesuffix('Harness')} | {asked} | {', '.join(seen) or 'nothing'} |", flush=True)
    print(f"\n{escaped} escaped")
    return min(escaped, 100)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
