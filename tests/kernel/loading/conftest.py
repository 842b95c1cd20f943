"""A folder of installed distributions for each test, and interpreters that see it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


@pytest.fixture(scope="session")
def badplugins() -> ModuleType:
    """The module that writes plugins; test folders are no packages, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("badplugins", Path(__file__).with_name("badplugins.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No settings of whoever runs the tests, and a working directory without an agentflow.toml above it."""
    for name in [name for name in os.environ if name.startswith("AGENTFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


class Site:
    """A site-packages folder of one test."""

    def __init__(self, folder: Path, make: ModuleType) -> None:
        self.folder = folder
        self.make = make

    def __getattr__(self, name: str) -> Any:
        """`write_toolset(…)` and the others of badplugins, for this folder."""

        def write(*args: Any, **kwargs: Any) -> Any:
            written = getattr(self.make, name)(self.folder, *args, **kwargs)
            importlib.invalidate_caches()
            return written

        return write

    def catalogue(self, settings: Settings | None = None) -> Catalogue:
        return Catalogue(settings or Settings(), [str(self.folder)])

    def plugins(self, settings: Settings | None = None) -> Plugins:
        return Plugins(self.catalogue(settings))

    def run(self, code: str, *options: str, **environment: str) -> Any:
        """What `code` printed last, as JSON, in a fresh interpreter that has this folder on its path."""
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**os.environ, "PYTHONPATH": path, **environment}
        command = [sys.executable, *options, "-c", code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=50)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def site(tmp_path: Path, badplugins: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder on the path; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield Site(folder, badplugins)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]
