"""The state of a plan's run: how each step stands, what it gave, and when the run has to be woken, as JSON and back."""

from __future__ import annotations

from typing import cast

from agentflow_planner_llm._ledger import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.program import Program

    Object: TypeAlias = Mapping[str, JSON]

SETTLED = ("done", "failed", "skipped", "cancelled")
"""How a step can have ended; before, it is ``""``, ``running`` or ``waiting`` for its next try."""


class Fault:
    """Why a plan stopped, or a step failed: a sentence, a stable code, and whether the call may have had its effect."""

    __slots__ = ("message", "code", "executed", "final", "reason")

    def __init__(
        self, message: str, code: str, executed: str = "no", *, final: bool = False, reason: str = "error"
    ) -> None:
        self.message = message
        self.code = code
        self.executed = executed
        self.final = final
        """Whether another try would end the same."""
        self.reason = reason
        """The stop reason of a run that ends by it."""

    def to_json(self) -> dict[str, JSON]:
        """What later steps see of it."""
        return {"code": self.code, "message": self.message}

    def dump(self) -> list[JSON]:
        """All of it as JSON."""
        return [self.message, self.code, self.executed, self.final, self.reason]

    @classmethod
    def load(cls, fields: Sequence[Any]) -> Fault:
        """The fault that :meth:`dump` wrote."""
        message, code, executed, final, reason = fields
        return cls(message, code, executed, final=final, reason=reason)


class PlanRun:
    """One run of one program.

    ``outcome`` has an entry ``{status, result, error}`` for each step that has ended, by its id, and those of earlier
    versions of the plan: what references and conditions see. ``written`` holds what steps wrote to the state since
    ``base`` was made, by key and writer. ``turns`` counts the actions that were made of each step id, so that no two
    have the same id; ``tries`` the attempts in the present turn. ``running`` has the key of each step at work.
    """

    __slots__ = (
        "program", "input", "status", "outcome", "taken", "rounds", "tries", "turns", "running", "members", "wake_at",
        "until", "base", "written", "ledger", "cache", "alone", "left", "ready", "settled", "fault", "cause", "log",
        "timer", "owner", "facts", "asked", "held",
    )  # fmt: skip

    def __init__(self, program: Program, value: JSON = None) -> None:
        self.program = program
        self.input = value
        size = len(program.steps)
        self.status: list[str] = [""] * size
        self.outcome: dict[str, dict[str, JSON]] = {}
        self.taken: dict[int, int] = {}
        """For steps with routes the one that was taken, -1 for none."""
        self.rounds: dict[tuple[int, int], int] = {}
        self.tries: dict[int, int] = {}
        self.turns: dict[str, int] = {}
        self.running: dict[str, int] = {}
        self.members: dict[str, list[int]] = {}
        """For a call in batch form the steps that it does, by its key."""
        self.wake_at: dict[int, float] = {}
        """When a step that failed is tried again."""
        self.until: dict[int, float] = {}
        """When a step that runs has had its time; infinite once it was told to stop."""
        self.base: dict[str, JSON] = {key: declared.initial for key, declared in program.plan.state.items()}
        self.written: dict[str, dict[int, JSON]] = {}
        self.ledger = Ledger()
        self.cache: dict[str, JSON] = {}
        self.asked: dict[int, str] = {}
        """For steps at work whose results are kept the call that was made."""
        self.held: dict[int, str] = {}
        """Steps that wait for the same call, which another one makes."""
        self.alone: set[int] = set()
        """Steps that are not put into a batch any more."""
        self.fault: Fault | None = None
        self.cause: str = ""
        """Why a new plan is wanted; ``""`` while none is."""
        self.log: dict[str, str] = {}
        """What calls with effects were made, by name and arguments, and the id of the step."""
        self.timer: float | None = None
        """The wall time for which the engine was asked to wake the run."""
        self.owner: Any = None
        """The run of which this one is a part, where it is one."""
        self.facts: dict[str, Object] = {}
        """Documents of the steps that were done in earlier versions of the plan, by id."""
        self.left: list[int] = []
        self.ready: list[tuple[int, int]] = []
        self.settled = 0
        self.count()

    def count(self) -> None:
        """Work out what follows from how the steps stand: how many each still waits for."""
        status = self.status
        self.left = [sum(status[need] not in SETTLED for need in needs) for needs in self.program.after]
        pruned = self.program.pruned
        self.settled = sum(each in SETTLED for number, each in enumerate(status) if number not in pruned)

    def dump(self) -> dict[str, JSON]:
        """The state as JSON: shares results and copies what will change."""
        steps = self.program.steps
        document: dict[str, JSON] = {
            "input": self.input,
            "status": {steps[number].id: each for number, each in enumerate(self.status) if each},
            "outcome": dict(self.outcome),
            "turns": dict(self.turns),
            "running": dict(self.running),
            "base": dict(self.base),
            "ledger": self.ledger.dump(),
            "timer": self.timer,
        }
        optional: dict[str, JSON] = {
            "taken": [[number, route] for number, route in self.taken.items()],
            "rounds": [[*place, count] for place, count in self.rounds.items()],
            "tries": [[number, count] for number, count in self.tries.items()],
            "members": {key: list(numbers) for key, numbers in self.members.items()},
            "wake_at": [[number, at] for number, at in self.wake_at.items()],
            "until": [[number, at if at < _NEVER else None] for number, at in self.until.items()],
            "written": {key: [[number, value] for number, value in each.items()] for key, each in self.written.items()},
            "cache": dict(self.cache),
            "asked": [[number, call] for number, call in self.asked.items()],
            "held": [[number, call] for number, call in self.held.items()],
            "alone": sorted(self.alone),
            "ready": [number for _, number in sorted(self.ready)],
            "log": dict(self.log),
            "facts": dict(self.facts),
            "cause": self.cause,
            "fault": None if self.fault is None else self.fault.dump(),
        }
        document.update({name: value for name, value in optional.items() if value})
        return document


_NEVER = float("inf")


def load_run(program: Program, document: Object) -> PlanRun:
    """The run that :meth:`PlanRun.dump` wrote, without its owner; a wrong document raises anything."""
    fields = cast("Mapping[str, Any]", document)
    run = PlanRun(program, fields["input"])
    index = program.graph.index
    for name, status in fields["status"].items():
        run.status[index[name]] = status
    run.outcome = dict(fields["outcome"])
    run.turns = dict(fields["turns"])
    run.running = dict(fields["running"])
    run.base = dict(fields["base"])
    run.ledger = Ledger.load(fields["ledger"])
    run.timer = fields["timer"]
    run.taken = dict(_pairs(fields, "taken"))
    run.rounds = {(source, route): count for source, route, count in fields.get("rounds", ())}
    run.tries = dict(_pairs(fields, "tries"))
    run.members = {key: list(numbers) for key, numbers in fields.get("members", {}).items()}
    run.wake_at = dict(_pairs(fields, "wake_at"))
    run.until = {number: _NEVER if at is None else at for number, at in _pairs(fields, "until")}
    run.written = {key: dict(map(tuple, each)) for key, each in fields.get("written", {}).items()}
    run.cache = dict(fields.get("cache", {}))
    run.asked = dict(_pairs(fields, "asked"))
    run.held = dict(_pairs(fields, "held"))
    run.alone = set(fields.get("alone", ()))
    run.ready = [(program.rank[number], number) for number in fields.get("ready", ())]
    run.log = dict(fields.get("log", {}))
    run.facts = dict(fields.get("facts", {}))
    run.cause = fields.get("cause", "")
    run.fault = Fault.load(fields["fault"]) if "fault" in fields else None
    run.count()
    return run


def _pairs(fields: Mapping[str, Any], name: str) -> Sequence[tuple[int, Any]]:
    return [(number, value) for number, value in fields.get(name, ())]
