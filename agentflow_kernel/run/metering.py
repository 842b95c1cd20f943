"""Meters: what the models below an action of a planner use, where that action is an agent, a flow or a plan."""

from __future__ import annotations

from agentflow_kernel.run.figures import add_model_call, add_step_figures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.figures import Figures
    from agentflow_kernel.run.history import History
    from agentflow_kernel.run.runtime import Run


class Meters:
    """The meters of one owner of a run, by the paths of their actions; what earlier owners used is in its history."""

    __slots__ = ("history", "_open", "_before")

    def __init__(self, history: History | None) -> None:
        self.history = history
        self._open: dict[str, Figures] = {}
        self._before = {} if history is None else _used_before(history)

    def begin(self, path: str) -> None:
        """Count from now on, and from what is on record."""
        self._open[path] = dict(self._before.get(path, ()))

    def note(self, path: str, usage: Mapping[str, JSON]) -> None:
        """A call of a model at ``path`` has ended; of one that failed nothing is known."""
        for above, figures in self._open.items():
            if path.startswith(above) and path[len(above)] == "/":
                add_model_call(figures, usage)

    def end(self, path: str) -> Figures | None:
        """What the meter shows, ``None`` where the action at ``path`` has none."""
        return self._open.pop(path, None)


def begin_meter(run: Run, path: str) -> None:
    """Measure the action at ``path``."""
    meters = run.meters
    if meters is None or meters.history is not run.history:
        meters = run.meters = Meters(run.history)
    meters.begin(path)


def _used_before(history: History) -> dict[str, Figures]:
    """What the calls of models on record have used, below each path."""
    found: dict[str, Figures] = {}
    for path, record in history.done.items():
        used: Figures = {}
        add_step_figures(used, record.payload)  # type: ignore[arg-type]  # an object, by its writer
        if not used:
            continue
        at = path.rfind("/")
        while at > 0:
            total = found.setdefault(path[:at], {})
            for name, amount in used.items():
                total[name] = total.get(name, 0) + amount  # type: ignore[operator]  # numbers
            at = path.rfind("/", 0, at)
    return found
