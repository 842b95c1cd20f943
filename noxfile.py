"""Every automation of the project; `nox` alone runs what the continuous integration runs.

The sessions are generated from the tree: a distribution or a test folder that appears is tested without a line here.
Tests run against built wheels, never against the source tree. The last line is the sum of all sessions.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = True

ROOT: Final = Path(__file__).parent
BUILD: Final = ROOT / "build"
WHEELS: Final = BUILD / "wheels"
REPORTS: Final = BUILD / "reports"
CONSTRAINTS: Final = BUILD / "constraints.txt"
STARTED: Final = time.time()
AT_ONCE: Final = os.cpu_count() or 1
"""What is run side by side."""
PYTHONS: Final = [entry for entry in re.split(r"[,\s]+", os.environ.get("NOX_PYTHONS", "")) if entry]
"""Interpreters asked for; empty means the one that runs nox."""

# the shims of pyenv answer only for the version it has selected; its others are found here, after everything else
PYENV: Final = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
os.environ["PATH"] = os.pathsep.join(
    [os.environ["PATH"], *(str(path) for wanted in PYTHONS for path in sorted(PYENV.glob(f"{wanted}.*/bin")))]
)

TEST_ENV: Final = {
    "PYTHONSAFEPATH": "1",
    # bytecode is part of every start-up figure
    "PYTHONDONTWRITEBYTECODE": None,
    "PYTHONPATH": None,
}
REPORTS.mkdir(parents=True, exist_ok=True)
nox.options.report = str(REPORTS / "nox.json")


class Distribution:
    """One distribution of the workspace: where it lies and what it says of itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        self.name: str = self.table["project"]["name"]
        self.package = self.name.replace("-", "_")

    @property
    def source(self) -> str:
        """The package's folder, relative to the root."""
        return str((self.folder / self.package).relative_to(ROOT))

    @property
    def tests(self) -> Path:
        """Where its own tests lie."""
        return self.folder / "tests" / "kernel" if self.folder == ROOT else self.folder / "tests"

    @property
    def needs(self) -> list[str]:
        """Names of the distributions it depends on, the workspace's and others."""
        return [re.split(r"[^A-Za-z0-9_-]", line, maxsplit=1)[0] for line in self.table["project"]["dependencies"]]


def workspace() -> dict[str, Distribution]:
    """The distributions of the workspace by name, the kernel first."""
    kernel = Distribution(ROOT)
    patterns = kernel.table["tool"]["uv"]["workspace"]["members"]
    folders = sorted(path.parent for pattern in patterns for path in ROOT.glob(f"{pattern}/pyproject.toml"))
    return {dist.name: dist for dist in (kernel, *map(Distribution, folders))}


DISTS: Final = workspace()


def has_tests(folder: Path) -> bool:
    """Whether a folder holds at least one test module."""
    return any(folder.rglob("test_*.py"))


def closure(dist: Distribution) -> list[str]:
    """Names of the workspace's distributions that `dist` needs, itself included."""
    found = [dist.name]
    for name in found:
        found += [need for need in DISTS[name].needs if need in DISTS and need not in found]
    return found


@functools.cache
def built_wheels() -> dict[str, Path]:
    """The wheel of each distribution, built once per run of nox from the tree as it is."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    run = functools.partial(nox.command.run, external=True, log=True)
    run(["uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(WHEELS)])
    everything = ["--all-packages", "--all-groups", "--no-emit-workspace", "--no-hashes", "--no-header"]
    run(["uv", "export", "--quiet", *everything, "--output-file", str(CONSTRAINTS)], silent=True)
    wheels = {path.name.split("-")[0].replace("_", "-"): path for path in WHEELS.glob("*.whl")}
    missing = DISTS.keys() - wheels.keys()
    if missing:
        msg = f"No wheel was built for {sorted(missing)}."
        raise RuntimeError(msg)
    return wheels


def install(session: nox.Session, names: list[str], *groups: str) -> None:
    """Install built wheels by name and the root's dependency groups, at the pinned versions."""
    wheels = [str(built_wheels()[name]) for name in names]
    tools = nox.project.dependency_groups(DISTS["agentflow-kernel"].table, *groups)
    session.install(*wheels, *tools, "--constraint", str(CONSTRAINTS))


def pytest(session: nox.Session, *folders: Path | str, workers: str = "auto", options: tuple[str, ...] = ()) -> None:
    """Run the tests of some folders in the session's environment and leave their result in `build/reports`.

    `workers` is how many processes share them: as many as there are processors, or a number; `0` for none but pytest's.
    """
    report = REPORTS / f"{slug(session.name)}.xml"
    config = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "--junitxml", str(report))
    shared = ("-n", workers, "--dist", "worksteal")  # else one works on long tests at the end, and the others wait
    chosen = any(Path(arg.partition("::")[0]).exists() for arg in session.posargs)
    paths = () if chosen else map(str, folders)
    session.run("python", "-m", "pytest", *config, *shared, *options, *session.posargs, *paths, env=TEST_ENV)


def slug(name: str) -> str:
    """A session's name as a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


# ---------------------------------------------------------------- sessions without tests


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel of every distribution into build/wheels."""
    session.log(f"{len(built_wheels())} wheels in {WHEELS.relative_to(ROOT)}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and form of every Python file."""
    session.install(*requirements("ruff"))
    session.run("ruff", "check", "--output-format", "concise", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def imports(session: nox.Session) -> None:
    """Check that imports point one way."""
    install(session, list(DISTS), "lint")
    session.run("lint-imports", "--cache-dir", str(BUILD / "import-linter"), env=TEST_ENV)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of every package and of this file, strictly."""
    install(session, list(DISTS), "lint", "test")
    session.install(*requirements("nox"))
    sources = [dist.source for dist in DISTS.values()]
    typed_tests = [str(path.relative_to(ROOT)) for path in [ROOT / "tests" / "typing"] if path.is_dir()]
    session.run("mypy", "--cache-dir", str(BUILD / "mypy"), *sources, *typed_tests, "noxfile.py", "conftest.py")


@nox.session
def changes(session: nox.Session) -> None:
    """See that the change log of every distribution can be written from its fragments."""
    session.install(*requirements("towncrier"))
    for dist in DISTS.values():
        of = ("--config", "pyproject.toml", "--dir", str(dist.folder), "--name", dist.name)
        session.run("towncrier", "build", "--draft", "--version", dist.table["project"]["version"], *of, silent=True)


def requirements(*names: str) -> list[str]:
    """The requirements on some tools as the root's dependency groups state them."""
    table = DISTS["agentflow-kernel"].table
    lines = nox.project.dependency_groups(table, *table["dependency-groups"])
    return [line for line in lines if re.split(r"[^A-Za-z0-9_-]", line, maxsplit=1)[0] in names]


# ---------------------------------------------------------------- tests


AT_BOTH_ENDS: Final = ("agentflow-kernel",)
EVERYWHERE: Final = ("agentflow-sqlite", "agentflow-starter")
"""Distributions that each interpreter tests, on asyncio alone; the first one tests all of them, on both event loops.

Those at both ends are tested by the first and the last: what works with both works between them.
"""
WAITING: Final = ("agentflow-specs",)
"""Distributions whose tests wait more than they work, for what hangs: twice as many share the processors."""


def pairs() -> list[Any]:
    """Each interpreter asked for with each distribution that it tests."""
    tested = [name for name, dist in DISTS.items() if has_tests(dist.tests)]
    pythons = PYTHONS or [f"{sys.version_info[0]}.{sys.version_info[1]}"]
    return [
        nox.param(python, name, id=f"{name}, {python}" if PYTHONS else name)
        for python in pythons
        for name in tested
        if python == pythons[0] or name in EVERYWHERE or (name in AT_BOTH_ENDS and python == pythons[-1])
    ]


@nox.session
@nox.parametrize("python, dist", pairs())
def tests(session: nox.Session, dist: str) -> None:
    """Run a distribution's own tests with its wheel, what it declares to need, and the test tools."""
    install(session, closure(DISTS[dist]), "test")
    first = session.python in {None, *PYTHONS[:1]}
    workers = str(2 * AT_ONCE) if dist in WAITING else "auto"
    pytest(session, DISTS[dist].tests, workers=workers, options=() if first else ("--asyncio-only",))


@nox.session
def always_replay(session: nox.Session) -> None:
    """Run the engine's tests once more, where each run forgets everything after each of its records."""
    kernel = DISTS["agentflow-kernel"]
    install(session, closure(kernel), "test")
    folders = [kernel.tests / name for name in ("run", "flow", "agent", "kernel")]
    pytest(session, *folders, options=("--always-replay", "--asyncio-only"))


def harnesses() -> dict[str, tuple[str, str]]:
    """Name of each harness (`journal.sqlite`) → its distribution and where it lies in it."""
    found: dict[str, tuple[str, str]] = {}
    for dist in DISTS.values():
        entries = dist.table["project"].get("entry-points", {}).get("agentflow.harnesses", {})
        found |= {name: (dist.name, target) for name, target in entries.items()}
    return found


def wholes() -> dict[str, tuple[str, str]]:
    """Name of each distribution with plugins, as the suite `plugin` tests it (`plugin.agentflow-sqlite`)."""
    objects = {"agentflow.harnesses", "agentflow.commands"}
    groups = {name: dist.table["project"].get("entry-points", {}) for name, dist in DISTS.items()}
    offering = [name for name, of in groups.items() if any(key.startswith("agentflow.") for key in {*of} - objects)]
    return {f"plugin.{name}": (name, "") for name in offering}


HARNESSES: Final = {
    **harnesses(),
    **wholes(),
    # those that need an extra have no entry point: a certificate must not ask for it
    "provider.anthropic-sdk": ("agentflow-anthropic", "agentflow_anthropic.harness:AnthropicSdkHarness"),
    "provider.openai-sdk": ("agentflow-openai", "agentflow_openai.harness:OpenAISdkHarness"),
}
SERVED: Final = dict.fromkeys(("journal.postgres", "plugin.agentflow-postgres"), "tests/services/with_postgres.py")
"""What starts the server that a harness needs, in front of the command."""
LONG: Final = ("journal", "memory", "provider")
"""Kinds with long suites: they begin first, so that nothing waits for one at the end."""


@nox.session
@nox.parametrize("dist", [nox.param(name, id=name) for name in dict.fromkeys(dist for dist, _ in HARNESSES.values())])
def conformance(session: nox.Session, dist: str) -> None:
    """Run the suites against a distribution's wheel, for each of its plugins and for the whole, as its author would.

    As many at once as there are processors; one that fails keeps none of the others from its turn.
    """
    install(session, [*closure(DISTS[dist]), "agentflow-specs"], "test")
    names = [name for name, (owner, _) in HARNESSES.items() if owner == dist]
    names.sort(key=lambda name: not name.startswith(LONG))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        held = list(pool.map(functools.partial(conforms, session, dist), names))
    failed = [name for name, good in zip(names, held, strict=True) if not good]
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def conforms(session: nox.Session, dist: str, harness: str) -> bool:
    """Run the suite of one harness; its output is shown as a whole, in short where it holds."""
    report = REPORTS / f"{slug(session.name)}+{harness}.xml"
    config = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "--junitxml", str(report))
    command = ("python", "-m", "pytest", *config, "-p", "no:randomly", "--pyargs", "agentflow_specs")
    command = (*(("python", SERVED[harness]) if harness in SERVED else ()), *command)
    target = HARNESSES[harness][1]
    subject = ("--harness", target) if target else ("--distribution", dist)
    try:
        output = session.run(*command, *subject, *session.posargs, env=TEST_ENV, silent=True)
    except CommandFailed:
        return False
    session.log(f"{harness}: {str(output).strip().splitlines()[-1].strip('= ')}")
    return True


TEMPLATES: Final = ROOT / "contrib" / "agentflow-cli" / "agentflow_cli" / "templates" / "plugin"
"""A folder for each kind of plugin that `agentflow init` writes."""


@nox.session
@nox.parametrize(
    "kind", sorted(path.name for path in TEMPLATES.iterdir() if (ROOT / "specs" / f"{path.name}.md").exists())
)
def outside(session: nox.Session, kind: str) -> None:
    """Write a plugin, build it and certify its wheel, outside the workspace, where nothing is but built wheels."""
    install(session, ["agentflow-kernel", "agentflow-cli", "agentflow-specs"])
    name = f"my-{kind}"
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run("agentflow", "init", "plugin", name, "--kind", kind, "--folder", "source", env=TEST_ENV)
        session.run("uv", "build", "--quiet", "--wheel", "source", "--out-dir", "dist", external=True)
        session.install("--no-deps", *map(str, Path(folder, "dist").glob("*.whl")))
        session.run("agentflow", "certify", f"agentflow-{name}", env=TEST_ENV)


STRANGER: Final = ROOT / "examples" / "third-party-plugin"


@nox.session
def stranger(session: nox.Session) -> None:
    """Build, test and certify the plugin of strangers, outside the workspace, where nothing is but built wheels."""
    install(session, ["agentflow-kernel", "agentflow-cli", "agentflow-specs"])
    session.install(*requirements("mypy"), "--constraint", str(CONSTRAINTS))
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        shutil.copytree(STRANGER, "source", ignore=shutil.ignore_patterns("__pycache__", "dist", ".*"))
        session.run("uv", "build", "--quiet", "--wheel", "source", "--out-dir", "dist", external=True)
        session.install("--no-deps", *map(str, Path(folder, "dist").glob("*.whl")))
        shutil.rmtree(Path("source", "agentflow_webhook_files"))  # what is tested is the wheel
        session.run("python", "-m", "pytest", "-q", "-c", "source/pyproject.toml", "source/tests", env=TEST_ENV)
        session.run("mypy", "--strict", "-p", "agentflow_webhook_files", env=TEST_ENV)
        session.run("agentflow", "certify", "agentflow-webhook-files", env=TEST_ENV)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Show which requirement catches which faulty plugin; the kit's own tests see that each is caught."""
    install(session, ["agentflow-kernel", "agentflow-specs"], "test")
    session.run("python", "specs/tests/mutants.py", *session.posargs, env=TEST_ENV)


def generate(name: str, folder: str, doc: str, *, options: dict[str, Any], env: dict[str, str] | None = None) -> None:
    """Make a session that runs the tests of one folder with all wheels installed, if the folder has tests.

    With an `env` that says `long` the tests load the machine themselves: one after the other.
    """
    if not any(has_tests(path) for path in ROOT.glob(folder)):
        return

    def run(session: nox.Session) -> None:
        install(session, list(DISTS), "test")
        session.env.update(env or {})
        pytest(session, folder_of(folder), workers="0" if "long" in session.env.values() else "auto")

    run.__doc__ = doc
    nox.session(name=name, **options)(run)


def folder_of(pattern: str) -> str:
    """The folder to hand to pytest: a pattern's fixed part."""
    return pattern.split("/*", maxsplit=1)[0]


SINGLE: Final[dict[str, Any]] = {}
FIRST: Final[dict[str, Any]] = {"python": PYTHONS[:1] or None}
LAST: Final[dict[str, Any]] = {"python": PYTHONS[-1:] or None}
"""The interpreters asked for: whole lines run on either end, the real components on one, the examples on the other."""
generate("house", "tests/house", "Check the rules of the house.", options=SINGLE)
generate("integration", "tests/integration", "Test the whole line with real components.", options=FIRST)
generate("chaos", "tests/chaos", "Kill real processes, in short.", options=SINGLE, env={"AGENTFLOW_CHAOS": "short"})
generate(
    "chaos_long",
    "tests/chaos",
    "Kill real processes, at length.",
    options={"default": False},
    env={"AGENTFLOW_CHAOS": "long"},
)
generate(
    "simulate",
    "tests/chaos/simulation",
    "Simulate 2,000 seeds over the feature flows.",
    options={"default": False},
    env={"AGENTFLOW_CHAOS": "long"},
)
generate("examples", "examples/*/tests", "Run every example as its reader would.", options=LAST)
generate("docs", "tests/docs", "Run every code block of the documentation.", options=SINGLE)


def bench_session(name: str, doc: str, *, default: bool, args: tuple[str, ...] = ()) -> None:
    """Make a session that measures the figures of the architecture, if the runner exists."""
    if not (ROOT / "tests" / "bench" / "run.py").exists():
        return

    def run(session: nox.Session) -> None:
        install(session, list(DISTS), "test")
        session.run("python", "tests/bench/run.py", *args, *session.posargs, env=TEST_ENV)

    run.__doc__ = doc
    nox.session(name=name, default=default)(run)


bench_session("bench", "Measure every figure beside its floor.", default=False)
bench_session("bench_short", "See that every figure can be measured.", default=True, args=("--short",))


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Measure which lines the tests of kernel and members reach."""
    install(session, list(DISTS), "test")
    folders = [str(dist.tests.relative_to(ROOT)) for dist in DISTS.values() if has_tests(dist.tests)]
    shutil.rmtree(BUILD / "coverage", ignore_errors=True)
    (BUILD / "coverage").mkdir()
    config = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT))
    session.run("coverage", "run", "-m", "pytest", *config, *folders, *session.posargs, env=TEST_ENV)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


# ---------------------------------------------------------------- the last line


def count(entry: dict[str, Any]) -> tuple[int, int, int]:
    """Passed, failed and skipped of one session: its tests where it left reports, else the session as one check."""
    good = entry["result"] in {"success", "skipped"}
    name = slug(entry["signatures"][0] if entry["signatures"] else entry["name"])
    reports = [path for path in REPORTS.glob("*.xml") if path.stem.partition("+")[0] == name]
    reports = [path for path in reports if path.stat().st_mtime >= STARTED]
    if not reports:
        return int(good), int(not good), 0
    passed = failed = skipped = 0
    trees = [ET.parse(path) for path in reports]  # noqa: S314 - pytest wrote them just now
    for suite in (suite for tree in trees for suite in tree.getroot().iter("testsuite")):
        broken = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        # what fails as it is expected to, such as a capability that is declared absent, is what the test asks for
        left_out = sum(skip.get("type") != "pytest.xfail" for skip in suite.iter("skipped"))
        passed += int(suite.get("tests", 0)) - broken - left_out
        failed += broken
        skipped += left_out
    if not good and not failed:
        failed = 1
    return passed, failed, skipped


def print_totals() -> None:
    """Print one line of totals over all sessions of this run."""
    report = REPORTS / "nox.json"
    if not report.exists() or report.stat().st_mtime < STARTED:
        return
    sessions = json.loads(report.read_text(encoding="utf-8"))["sessions"]
    passed, failed, skipped = (sum(column) for column in zip((0, 0, 0), *map(count, sessions), strict=True))
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)


atexit.register(print_totals)
