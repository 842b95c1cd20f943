"""A reply: what a person says to a run that asks, with the subject who says it and the hash of what was shown."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

import click

from agentflow_cli.output import Table, show
from agentflow_cli.requests import find_run, request
from agentflow_cli.run_list import local
from agentflow_cli.terminal import say
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import RunEnded, UnknownName, UsageError
from agentflow_kernel.kernel.requests import answer_run
from agentflow_kernel.run.questions import open_questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.run.questions import Open

subject_option = click.option(
    "--as", "subject", metavar="SUBJECT", help="Who answers; the name of the operating system's user if not given."
)
hash_option = click.option(
    "--hash", "shown", metavar="HASH", help="Answers only if what is asked has this hash, or one that begins so."
)


def reply(
    shared: Shared, run: tuple[str, str | None], value: Any, *, approval: bool, said: tuple[str | None, str | None, str]
) -> int:
    """Leave the answer to what the run asks. ``run`` is its id and the wait; ``said`` subject, hash and manifest."""
    (run_id, wait), (subject, shown, file) = run, said
    info, records = find_run(shared, run_id, file or None)
    if info.status in TERMINAL:
        raise RunEnded(info.run_id, info.status)
    found = _pick(records, wait, approval=approval)
    if shown is not None and not found.question.hash.startswith(shown):
        raise UsageError(f"{found.path!r} asks for something with the hash {found.question.hash}, not {shown}.")
    by = subject or getpass.getuser()
    body = {"value": value, "by": by, "hash": found.question.hash}
    _, sent = request(shared, info.run_id, file or None, lambda kernel, id: answer_run(kernel, id, found.path, body))
    document = {**found.as_document(), "run_id": info.run_id, "id": sent, "by": by, "value": value}
    content = [(key, _text(part)) for key, part in found.question.content.items()]
    rows = [("run id", info.run_id), ("wait", found.path), *content, ("hash", found.question.hash), ("by", by)]
    show(shared.output, document, Table(("FIELD", "VALUE"), [*rows, ("answer", _text(value))]))
    if shared.for_people and info.status == "suspended":
        say(f"Nobody works on it: `agentflow resume {info.run_id}` takes it.")
    return 0


def _pick(records: Sequence[Record], wait: str | None, *, approval: bool) -> Open:
    """The one that is meant: of that path, or the only one of its kind."""
    asked = {each.path: each for each in open_questions(records) if each.question.is_approval == approval}
    if wait is not None:
        if wait not in asked:
            raise UnknownName("approval" if approval else "question", wait, asked)
        return asked[wait]
    if not asked:
        what = "approval" if approval else "answer"
        raise UsageError(f"The run waits for no {what}; `agentflow describe run` shows what it waits for.")
    if len(asked) != 1:
        what = "approvals" if approval else "answers"
        known = "".join(f"\n  {path}" for path in asked)
        raise UsageError(f"Name what is meant: the run waits for {len(asked)} {what}:{known}")
    (only,) = asked.values()
    return only


def as_table(asked: Sequence[Open]) -> Table:
    """What a run asks of people, in full: nobody should approve what is cut."""
    rows = []
    for each in asked:
        question = each.question
        until = "" if each.deadline is None else local(each.deadline)
        what = "approval" if question.is_approval else "question"
        content = "; ".join(f"{key}: {_text(part)}" for key, part in question.content.items()) or "stored apart"
        rows.append((each.path, what, content, ", ".join(question.by) or "anybody", until, question.hash))
    return Table(("WAITS FOR", "KIND", "WHAT", "BY", "UNTIL", "HASH"), rows, overflow=None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
