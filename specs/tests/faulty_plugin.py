"""Distributions that are faulty in one way each: variants of a sound one, installed in a folder of their own."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from faulty import mutants_in

from agentflow_specs.distribution import DistributionHarness


class Sound:
    """The files of a distribution; NAME stands for the plugin."""

    top = ""
    """Stands at the head of the plugin module."""
    hook = "def"
    spec = 'JournalSpec("NAME", "agentflow_NAME.store:create", "agentflow_NAME.settings:Settings", summary="It keeps.")'
    more = ""
    """Stands at the end of the plugin module."""
    store = """
import socket, threading
from agentflow_kernel.testing import InProcessJournal
opened = []

class Store(InProcessJournal):
    pass

def create(settings, context):
    return Store()
"""
    settings = """
from pydantic import BaseModel, ConfigDict, Field

class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(default=1, description="How much.")

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str = Field(default="x", description="Where.")
    inner: Inner | None = Field(default=None, description="More.")
"""
    testing = """
from agentflow_kernel.testing import InProcessJournalHarness
from agentflow_NAME.store import Store
from contextlib import asynccontextmanager

class Harness(InProcessJournalHarness):
    @asynccontextmanager
    async def open(self):
        yield Store()
"""
    head = """Metadata-Version: 2.4
Name: agentflow-NAME
Version: 1.0
Summary: A store
Requires-Python: >=3.11
License-Expression: Apache-2.0
Author: Those who made it
Requires-Dist: agentflow-kernel>=0.1,<0.2
Requires-Dist: pydantic>=2
"""
    readme = """
# agentflow-NAME

    pip install agentflow-NAME

## Settings

`path`, `inner`

## Capabilities
## Known deviations
## Maintained by
## State
"""
    entry_points = """
[agentflow.journals]
NAME = agentflow_NAME._plugin
[agentflow.harnesses]
journal.NAME = agentflow_NAME.testing:Harness
"""
    files = {"py.typed": ""}  # noqa: RUF012 -- each mutant has its own
    beside = {}  # noqa: RUF012 -- as above

    @classmethod
    def all_files(cls, name):
        plugin = f"""
from agentflow_kernel.contracts.plugin import JournalSpec
from agentflow_kernel.hookspecs import hookimpl
{cls.top}

@hookimpl
{cls.hook} agentflow_journals():
    return [{cls.spec}]
{cls.more}
"""
        package, info = f"agentflow_{name}", f"agentflow_{name}-1.0.dist-info"
        texts = {"__init__.py": "", "_plugin.py": plugin, "store.py": cls.store, "settings.py": cls.settings}
        found = {f"{package}/{path}": text for path, text in {**texts, "testing.py": cls.testing, **cls.files}.items()}
        found |= {f"{info}/METADATA": cls.head + cls.readme, f"{info}/entry_points.txt": cls.entry_points, **cls.beside}
        found[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in found)
        return {path: text.replace("NAME", name) for path, text in found.items()}


class SoundHarness(DistributionHarness):
    """Writes the files and looks at them as at any other distribution."""

    made_of = Sound

    def __init__(self):
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder)
        name = self.made_of.__name__.lower()
        for path, text in self.made_of.all_files(name).items():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, path).write_text(text)
        sys.path.insert(0, folder)
        super().__init__(f"agentflow-{name}", [folder])


mutant = mutants_in(globals(), SoundHarness)


@mutant("PLUGIN-01")
class Anonymous(Sound):
    head = Sound.head.replace("Author: Those who made it\n", "")


@mutant("PLUGIN-01")
class Unlicensed(Sound):
    head = Sound.head.replace("License-Expression: Apache-2.0\n", "")


@mutant("PLUGIN-02")
class Unbounded(Sound):
    head = Sound.head.replace(">=0.1,<0.2", ">=0.1")


@mutant("PLUGIN-02")
class Outdated(Sound):
    head = Sound.head.replace(">=0.1,<0.2", ">=0.0.1,<0.1")


@mutant("PLUGIN-03")
class Terse(Sound):
    readme = Sound.readme.replace("## Known deviations\n", "")


@mutant("PLUGIN-04")
class Untyped(Sound):
    files = {}  # noqa: RUF012 -- as above


@mutant("PLUGIN-05")
class Rival(Sound):
    entry_points = Sound.entry_points + "[agentflow.planners]\ntools = agentflow_NAME._plugin\n"
    beside = {  # noqa: RUF012 -- as above
        "agentflow_first-1.0.dist-info/entry_points.txt": "[agentflow.planners]\ntools = agentflow_first._plugin\n",
        "agentflow_first-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: agentflow-first\nVersion: 1.0\n",
    }


@mutant("PLUGIN-05")
class Mistyped(Sound):
    entry_points = Sound.entry_points + "[agentflow.journal]\nNAME = agentflow_NAME._plugin\n"


@mutant("PLUGIN-06")
class Spreading(Sound):
    beside = {"tests/__init__.py": ""}  # noqa: RUF012 -- as above


@mutant("PLUGIN-07")
class Prying(Sound):
    store = "from agentflow_kernel.loading import _trust\n" + Sound.store


@mutant("PLUGIN-08")
class Global(Sound):
    store = Sound.store + "\ndef remember():\n    global opened\n    opened = [1]\n"


@mutant("PLUGIN-09")
class Futuristic(Sound):
    spec = Sound.spec.replace(", summary", ", api_version=2, summary")


@mutant("PLUGIN-10")
class Silent(Sound):
    spec = ""


@mutant("PLUGIN-10")
class Generous(Sound):
    spec = Sound.spec + ", " + Sound.spec.replace('"NAME"', '"other"')


@mutant("PLUGIN-10")
class Crashing(Sound):
    top = "import os; os.abort()"


@mutant("PLUGIN-11")
class Heavy(Sound):
    top = "import asyncio, unittest, email, http.client"


@mutant("PLUGIN-12")
class Eager(Sound):
    top = "import pydantic"


@mutant("PLUGIN-13")
class Threading(Sound):
    top = "import _thread; _thread.start_new_thread(lambda: None, ())"


@mutant("PLUGIN-13")
class Listening(Sound):
    top = "import _socket; line = _socket.socket()"


@mutant("PLUGIN-13")
class Reading(Sound):
    top = "open('/etc/hosts').close()"


@mutant("PLUGIN-14")
class Environment(Sound):
    top = "import os; os.environ['NAME_WAS_HERE'] = '1'"


@mutant("PLUGIN-14")
class Logging(Sound):
    top = "import logging; logging.basicConfig(level=logging.DEBUG)"


@mutant("PLUGIN-14")
class Signals(Sound):
    top = "import _signal; _signal.signal(_signal.SIGTERM, lambda *_: None)"


@mutant("PLUGIN-14")
class Leaving(Sound):
    top = "import atexit; atexit.register(print)"


@mutant("PLUGIN-15")
class Asynchronous(Sound):
    hook = "async def"


@mutant("PLUGIN-16")
class Moody(Sound):
    top = "calls = []"
    spec = f"*(calls.append(1) or [{Sound.spec}] * len(calls))"


@mutant("PLUGIN-17")
class Mute(Sound):
    spec = Sound.spec.replace('"It keeps."', '""')


@mutant("PLUGIN-20")
class Lost(Sound):
    spec = Sound.spec.replace(":create", ":make")


@mutant("PLUGIN-20")
class Narrow(Sound):
    store = Sound.store.replace("create(settings, context)", "create(settings)")


@mutant("PLUGIN-21")
class Lenient(Sound):
    settings = Sound.settings.replace('extra="forbid"', "", 1)


@mutant("PLUGIN-22")
class Undescribed(Sound):
    settings = Sound.settings.replace(', description="How much."', "")


@mutant("PLUGIN-23")
class Concealing(Sound):
    readme = Sound.readme.replace("`inner`", "")


@mutant("PLUGIN-30")
class Leaking(Sound):
    store = Sound.store.replace("    pass", "    def __init__(self):\n        super().__init__()\n        os.dup(0)")
    store = "import os\n" + store


@mutant("PLUGIN-31")
class Hoarding(Sound):
    store = Sound.store.replace(
        "    pass", "    def __init__(self):\n        super().__init__()\n        opened.append(1)"
    )


@mutant("PLUGIN-31")
class Counting(Sound):
    store = Sound.store.replace(
        "    pass", "    number = 0\n    def __init__(self):\n        super().__init__()\n        Store.number += 1"
    )


@mutant("PLUGIN-32")
class Untested(Sound):
    entry_points = Sound.entry_points + "[agentflow.buses]\nNAME = agentflow_NAME.store\n"
