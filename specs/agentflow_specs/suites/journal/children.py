"""A child: another process on the same store, which takes a run over or appends until it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AgentFlowError
from agentflow_specs._target import resolve_harness
from agentflow_specs.suites.journal.abilities import store_of
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BATCH: Final = 3
"""Records of each batch of a child."""
TIMEOUT_S: Final = 50


def run_child(target: str, command: str, place: str, *arguments: str) -> dict[str, Any]:
    """What a child answers; blocks."""
    done = subprocess.run(
        _command(target, command, place, *arguments), env=_environment(), stdout=subprocess.PIPE, text=True,
        check=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def kill_appending_child(target: str, place: str, least: int) -> dict[str, int]:
    """Kill a child after it has acknowledged `least` batches; run id → the end that it acknowledged. Blocks."""
    ends: dict[str, int] = {}
    command = _command(target, "append", place, f"child-{least}")
    with subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            for number, line in enumerate(child.stdout, 1):
                run_id, _, end = line.partition(" ")
                ends[run_id] = int(end)
                if number == least:
                    child.kill()
                    break
            else:
                raise AssertionError("The child ended by itself; its error stands above.")
            for line in child.stdout.read().splitlines(keepends=True):
                run_id, _, end = line.partition(" ")
                if end.endswith("\n"):
                    ends[run_id] = int(end)
        finally:
            child.kill()
    return ends


def _command(target: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", __name__, target, *arguments]


def _environment() -> dict[str, str]:
    """The child finds the same modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


async def _take(target: str, place: str, run_id: str) -> None:
    """Take a run over, or say why not."""
    answer: dict[str, object] = {}
    try:
        async with store_of(resolve_harness(target)).attach(place) as journal:
            head = await journal.head(run_id)
            answer = {"read": len(await journal.read(run_id)), "status": head.status}
            seq, epoch = head.next_seq, head.epoch + 1
            await journal.append(run_id, seq, epoch, [Record(run_id, seq, "lease", "", {"owner": "child"}, epoch)])
            answer["appended"] = seq
    except AgentFlowError as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        answer = {"refused": "StorageUnavailable" if "StorageUnavailable" in names else names[0]}
        answer["executed"] = error.executed
    sys.stdout.write(json.dumps(answer))


async def _append(target: str, place: str, name: str) -> None:
    """Append to four runs at once until killed; a line for each batch that was acknowledged."""

    async def work(number: int) -> None:
        author = Author(f"{name}-{number}")
        while True:
            await author.append(journal, *["x" * 100] * BATCH)
            sys.stdout.write(f"{author.run_id} {author.next_seq}\n")
            sys.stdout.flush()

    async with store_of(resolve_harness(target)).attach(place) as journal, anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(work, number)


COMMANDS: Final[dict[str, Callable[..., Awaitable[None]]]] = {"take": _take, "append": _append}

if __name__ == "__main__":
    given, command, *rest = sys.argv[1:]
    anyio.run(COMMANDS[command], given, *rest)
