"""A search: one simulation for each of many seeds, until one fails; that one is made shorter and can be kept."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import InputInvalid
from agentflow_kernel.testing.faults import Faults
from agentflow_kernel.testing.simulation import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.simulation import Simulation

    Simulate = Callable[[int, Faults], Simulation]
    """One simulation with this seed and these faults."""

_VERSION = 1


class Failure(Value):
    """A simulation that is not as it should be: its problems, and the numbers of the strikes that it does without."""

    __slots__ = ("simulation", "problems", "without")

    def __init__(self, simulation: Simulation, problems: Sequence[str], without: Sequence[int]) -> None:
        self.simulation = simulation
        self.problems = tuple(problems)
        self.without = tuple(without)


class SeedSearch:
    """Simulates seed after seed and compares each with the run of the first seed in which nothing goes wrong."""

    def __init__(self, simulate: Simulate, faults: Sequence[str], *, first: int = 0) -> None:
        self._simulate = simulate
        self._faults = tuple(faults)
        self._first = first
        self.undisturbed = simulate(first, Faults())
        """Its own problems, if it has any, are in ``violations``."""
        self.crashes = 0
        self.strikes = 0

    def try_seeds(self, count: int) -> Iterator[tuple[int, Failure | None]]:
        """Each seed with its failure, if it has one, made as short as may be."""
        for seed in range(self._first, self._first + count):
            simulation = self._simulate(seed, Faults(self._faults, seed))
            self.crashes += simulation.crashes
            self.strikes += len(simulation.strikes)
            problems = differences(self.undisturbed, simulation)
            yield seed, self._shorten(seed, Failure(simulation, problems, ())) if problems else None

    def try_one(self, seed: int, without: Sequence[int] = ()) -> Failure | None:
        """One seed again, with some of its strikes left out."""
        simulation = self._simulate(seed, Faults(self._faults, seed, without=without))
        problems = differences(self.undisturbed, simulation)
        return Failure(simulation, problems, without) if problems else None

    def _shorten(self, seed: int, failure: Failure) -> Failure:
        """Leave out one strike after another, the last first, as long as it still fails."""
        number = len(failure.simulation.strikes)
        while number > 0:
            number -= 1
            shorter = self.try_one(seed, (*failure.without, number))
            if shorter is not None and len(shorter.simulation.trace) <= len(failure.simulation.trace):
                failure = shorter
        return failure


class Regression(Value):
    """A seed that failed, kept as a file: enough to run it again, and what should come of it.

    ``fingerprint`` is that of the manifest it was found with, ``code`` that of its code. ``expected`` has
    ``status`` and ``result`` of the undisturbed run, ``problems`` what was wrong.
    """

    __slots__ = ("flow", "fingerprint", "code", "seed", "faults", "without", "input", "expected", "problems")

    def __init__(
        self,
        flow: str,
        fingerprint: str,
        input: JSON,
        undisturbed: Simulation,
        failure: Failure,
        *,
        code: str,
    ) -> None:
        self.flow = flow
        self.fingerprint = fingerprint
        self.code = code
        self.seed = failure.simulation.seed
        self.faults = failure.simulation.faults
        self.without = failure.without
        self.input = input
        self.expected: dict[str, Any] = {"status": undisturbed.status, "result": undisturbed.result}
        self.problems = failure.problems

    def write(self, folder: str) -> str:
        """Write it into a folder, which is made, and return the file's path."""
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{self.flow.replace('/', '-')}-{self.seed}.json")
        document = {"v": _VERSION, **{name: getattr(self, name) for name in self.content}}
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2, ensure_ascii=False, default=repr)
            stream.write("\n")
        return path


def read_regression(path: str) -> dict[str, Any]:
    """The members of :class:`Regression` from a file. Raises :class:`InputInvalid` for a file that is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (OSError, ValueError) as error:
        raise InputInvalid(f"Regression file {path!r}", str(error)) from error
    if isinstance(document, dict):
        document.setdefault("code", "")  # seeds that were kept before it was noted
    if not isinstance(document, dict) or document.get("v") != _VERSION or set(Regression.content) - set(document):
        raise InputInvalid(
            f"Regression file {path!r}", "it is not one that `agentflow simulate` of this version wrote."
        )
    return document
