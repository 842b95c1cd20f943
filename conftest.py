"""What every test of the repository gets: no blocked event loop, no connection that leaves the machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytest_plugins = ["pytester"]

OURS = [
    "agentflow_anthropic",
    "agentflow_cli",
    "agentflow_http",
    "agentflow_kernel",
    "agentflow_leveldb",
    "agentflow_openai",
    "agentflow_planner_bt",
    "agentflow_planner_fsm",
    "agentflow_planner_llm",
    "agentflow_postgres",
    "agentflow_resilience",
    "agentflow_sources",
    "agentflow_sqlite",
    "agentflow_tools",
]
# how long an example takes says something of the machine, nothing of what is tested
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
SHORT_COMMITS = ["sqlite3.Connection.execute", "sqlite3.Cursor.fetchone", "sqlite3.Cursor.fetchall"]
LOOKING_UP = ["os.stat", "os.path.abspath"]


@pytest.fixture(autouse=True)
def event_loop_stays_free(request: pytest.FixtureRequest) -> Iterator[None]:
    """Turn a blocking call made by our packages inside an event loop into a failure of the test."""
    if request.node.get_closest_marker("blocking"):
        yield
        return
    guard = BlockBuster(scanned_modules=_installed(OURS))
    for name in SHORT_COMMITS:  # a fast disk's commit is shorter than the way to a thread and back
        guard.functions[name].can_block_in("agentflow_sqlite/_transactions.py", "run_at_once")
    for name in LOOKING_UP:  # asyncpg looks for ~/.pgpass and certificates when it connects, which is rare
        guard.functions[name].can_block_in("agentflow_postgres/_link.py", "connect")
        guard.functions[name].can_block_in("agentflow_postgres/testing.py", "_execute")
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


@pytest.fixture(autouse=True)
def network_is_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections beyond this machine, so that no test passes by luck of being online."""
    if request.node.get_closest_marker("network"):
        return

    def guarded(connect: Any) -> Any:
        def connect_locally(self: socket.socket, address: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
                pytest.fail(f"This test connects to {address!r}. Mark it `network`, with the reason, or use a fake.")
            return connect(self, address)

        return connect_locally

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options: the mode in which a run forgets everything after each of its records, and one loop alone."""
    text = "Break each run off after each of its records and resume it from the journal; on asyncio alone."
    parser.addoption("--always-replay", action="store_true", help=text)
    parser.addoption("--asyncio-only", action="store_true", help="Leave out what runs on the second event loop.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--always-replay` leave out what must keep its memory, and the second event loop."""
    replayed = config.getoption("--always-replay")
    if not replayed and not config.getoption("--asyncio-only"):
        return
    left_out = {item for item in items if _is_on_trio(item) or (replayed and item.get_closest_marker("keeps_memory"))}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def memory_is_dropped(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `--always-replay`: nothing in memory outlives a record of a run that has a journal."""
    if not request.config.getoption("--always-replay"):
        yield
        return
    from agentflow_kernel.testing import always_replay  # lazy: only for this mode

    with always_replay():
        yield


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops; a module that knows only asyncio overrides this fixture."""
    backend: str = request.param
    return backend


def _installed(names: list[str]) -> list[ModuleType]:
    """Empty modules that know where the installed packages lie: the guard needs the paths, nothing is imported."""
    specs = (importlib.util.find_spec(name) for name in names)
    return [importlib.util.module_from_spec(spec) for spec in specs if spec is not None]


def _is_on_trio(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("anyio_backend") == "trio"


def _is_local(host: str) -> bool:
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
