"""`agentflow simulate`: run a flow for many seeds in a simulated world with faults, until one fails."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import click

from agentflow_cli.failure import FAILED
from agentflow_cli.inputs import read_input
from agentflow_cli.output import show
from agentflow_cli.shared import common_options, files, folders, progress_option
from agentflow_cli.targets import choose, found_applied, path_of
from agentflow_cli.terminal import answer_only, say, write
from agentflow_kernel import Kernel
from agentflow_kernel.errors import UsageError
from agentflow_kernel.kernel.core import code_digest
from agentflow_kernel.testing import Faults, Regression, SeedSearch, read_regression, shortened_trace, simulate_kernel

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel.manifest import Manifest
    from agentflow_kernel.testing import Failure, Simulation

TRACE_LINES = 30
"""Lines of a failing simulation that are shown; all of them come again with --replay and -o json."""
SAY_EVERY_S = 5.0


@click.command("simulate")
@click.argument("target", metavar="[FLOW]", required=False)
@click.option("-f", "--file", metavar="PATH", shell_complete=files, help="Manifest that has the flow.")
@click.option("-i", "--input", "inputs", multiple=True, help="As for `agentflow run`.")
@click.option("--seeds", type=click.IntRange(min=1), default=200, show_default=True, help="How many seeds to try.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option("--faults", default="crash", show_default=True, help="Names of faults with commas between; none is ''.")
@click.option("--keep", metavar="FOLDER", shell_complete=folders, help="Keep a failing seed as a file in this folder.")
@click.option("--replay", metavar="FILE", shell_complete=files, help="Run a kept seed again.")
@click.option("--model", help="A model in the place of all agents' models: <provider>/<model>.")
@click.option("--trust-code", is_flag=True, help="Let the manifest's own code run.")
@progress_option
@common_options
@click.pass_obj
def command(shared: Shared, /, **options: Any) -> int:
    """Run FLOW of the manifest in a simulated world, once for each seed, with faults; stop at the first that fails.

    FLOW is `flow/x`, `agent/x` or only `x`; without --file it is a path or what is applied under that name.
    """
    return _Work(shared, options).carry_out()


class _Work:
    """One call of the command."""

    def __init__(self, shared: Shared, options: dict[str, Any]) -> None:
        self._shared = shared
        self._kept = None if options["replay"] is None else read_regression(options["replay"])
        if self._kept is not None and (options["target"] or options["inputs"]):
            raise UsageError("A kept seed has its flow and input; give --replay without them, but with --file.")
        self._options = options
        self._settings = shared.settings()
        self._state = shared.state_folder(self._settings)
        self._path, name = self._find(options["file"], options["target"])
        self._kernel = self._open()
        self._manifest = cast("Manifest", self._kernel.manifest)
        target = choose(self._manifest, name)
        if target.kind == "Trigger":
            flow = target.spec["start"]
            raise UsageError(f"{path_of(target)} reads its source; name the flow that it starts: {flow}.")
        self._target = path_of(target)
        if self._kept and self._kept["fingerprint"] != self._manifest.fingerprint:
            say(f"Warning: {self._path} has changed since the seed was kept; it may end in another way than then.")
        self._value = self._kept["input"] if self._kept else read_input(options["inputs"])
        names = options["faults"].split(",")
        self._faults = tuple(self._kept["faults"]) if self._kept else tuple(name.strip() for name in names if name)
        Faults(self._faults)  # an unknown name is an error before anything runs

    def _find(self, file: str | None, target: str | None) -> tuple[str, str | None]:
        if self._kept is not None:
            if file is None:
                raise UsageError("Name the manifest of the kept seed with --file.")
            return file, str(self._kept["flow"])
        if file is not None:
            return file, target
        if target is None:
            raise UsageError("Name a flow and its manifest: agentflow simulate FLOW --file PATH.")
        return found_applied(target, self._state)

    def _open(self) -> Kernel:
        return Kernel.from_manifest(
            self._path,
            settings=self._settings,
            trust_code=self._options["trust_code"],
            model=self._options["model"],
            state=self._state if self._path.startswith("applied:") else None,
        )

    def _simulate(self, seed: int, faults: Faults) -> Simulation:
        async def scenario(kernel: Kernel) -> object:
            return await kernel.run(self._target, self._value, key="simulation")

        return simulate_kernel(self._kernel, scenario, seed=seed, faults=faults)

    def carry_out(self) -> int:
        """Simulate, and show what came of it; returns the exit code."""
        with answer_only(for_people=self._shared.for_people):
            first = int(self._kept["seed"]) if self._kept else self._options["first"]
            search = SeedSearch(self._simulate, self._faults, first=first)
            if search.undisturbed.violations or search.undisturbed.status == "stuck":
                problem = "; ".join(search.undisturbed.violations) or search.undisturbed.error
                raise UsageError(f"{self._target} does not come to an end even without faults: {problem}")
            if self._kept and self._kept["code"] not in ("", code_digest(self._kernel)):
                say(f"Warning: the code of {self._path} has changed since the seed was kept.")
            begin, tried, failure = time.perf_counter(), 0, None
            if self._kept:
                tried, failure = 1, search.try_one(first, self._kept["without"])
            else:
                tell = _Meter(self._options["seeds"], shown=not self._shared.no_progress)
                for _, failure in search.try_seeds(self._options["seeds"]):
                    tried += 1
                    tell(tried)
                    if failure is not None:
                        break
            seconds = time.perf_counter() - begin
        return self._report(search, failure, tried, seconds)

    def _report(self, search: SeedSearch, failure: Failure | None, tried: int, seconds: float) -> int:
        file = self._keep(search, failure) if failure is not None else None
        document: dict[str, object] = {
            "flow": self._target,
            "faults": list(self._faults),
            "seeds": tried,
            "crashes": search.crashes,
            "strikes": search.strikes,
            "seeds_per_s": round(tried / seconds, 1),
            "failed": None,
        }
        if failure is not None:
            document["failed"] = {
                "seed": failure.simulation.seed,
                "problems": list(failure.problems),
                "without": list(failure.without),
                "file": file,
                "trace": failure.simulation.trace.decode().splitlines(),
            }
        if not self._shared.for_people:
            show(self._shared.output, document)
        elif failure is not None:
            self._show(failure, file)
        faults = ", ".join(self._faults) or "none"
        figures = f"{tried} seed{'' if tried == 1 else 's'}, faults {faults}: {search.crashes} crashes"
        say(f"{self._target}: {figures}; {tried / seconds:.0f} seeds/s; {'ok' if failure is None else 'FAILED'}.")
        return 0 if failure is None else FAILED

    def _keep(self, search: SeedSearch, failure: Failure) -> str | None:
        """Write the failing seed into the folder that was asked for."""
        if self._options["keep"] is None:
            return None
        fingerprint, code = self._manifest.fingerprint, code_digest(self._kernel)
        kept = Regression(self._target, fingerprint, self._value, search.undisturbed, failure, code=code)
        return kept.write(self._options["keep"])

    def _show(self, failure: Failure, file: str | None) -> None:
        """The failing seed for people: its problems, and the shortest trace that leads to them."""
        lines = [f"Seed {failure.simulation.seed} fails:", *(f"- {problem}" for problem in failure.problems)]
        lines += shortened_trace(failure.simulation.trace, TRACE_LINES)
        write("\n".join(lines) + "\n")
        if file is not None:
            say(f"Kept. Run it again with: agentflow simulate --replay {file} --file {os.path.relpath(self._path)}")
        elif self._kept is None:
            seed, faults = failure.simulation.seed, ",".join(self._faults)
            say(f"Run it again with: --first {seed} --seeds 1 --faults {faults}")


class _Meter:
    """Says from time to time how far the search is."""

    def __init__(self, seeds: int, *, shown: bool) -> None:
        self._seeds = seeds
        self._shown = shown and sys.stderr.isatty()
        self._begin = self._last = time.perf_counter()

    def __call__(self, tried: int) -> None:
        """So many seeds have been tried."""
        now = time.perf_counter()
        if self._shown and now - self._last >= SAY_EVERY_S:
            self._last = now
            say(f"{tried} of {self._seeds} seeds, {tried / (now - self._begin):.0f} seeds/s")
