"""A listing: the requirements of one kind as the page that people read, `specs/<kind>.md`."""

from __future__ import annotations

import sys

from agentflow_specs.requirement import capabilities_of, requirements_of


def page(kind: str) -> str:
    """The page of a kind, as Markdown."""
    lines = [
        f"# What every {kind} does",
        "",
        f"The requirements of the suite `{kind}`, each with its reason and with where to look when it fails. The page",
        f"is written by `python -m agentflow_specs.listing {kind}`; a number never changes its meaning.",
        "",
        "A harness declares each of these:",
        "",
        "| capability | meaning |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in capabilities_of(kind).items()]
    for asked in requirements_of(kind):
        needs = f" · with `{asked.needs}`" if asked.needs else ""
        lines += ["", f"## {asked.id} · {asked.level}{needs}", "", asked.statement, ""]
        lines += [f"- Why: {asked.reason}", f"- If it fails: {asked.advice}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
