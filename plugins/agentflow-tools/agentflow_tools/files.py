"""The toolset `files`: reads, lists and searches below one root folder, in worker threads."""

from __future__ import annotations

import anyio
import anyio.from_thread
import anyio.to_thread

from agentflow_kernel.errors import StorageUnavailable, UnknownName
from agentflow_tools._listing import Listing, list_folder
from agentflow_tools._reading import Reading, read
from agentflow_tools._root import Root
from agentflow_tools._schemas import DEFAULT_ENTRIES, DEFAULT_LINES, DEFAULT_MATCHES, make_tools
from agentflow_tools._searching import Searching, search
from agentflow_tools._watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.tool import Tool, ToolContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_tools.settings import FilesSettings

    Arguments = Mapping[str, JSON]


class Files:
    """A toolset that can see one folder and what is below it, and change nothing.

    A cancelled call ends when its thread has looked at its watch, a few milliseconds later.
    """

    def __init__(self, settings: FilesSettings, context: PluginContext) -> None:
        self._settings = settings
        self._clock = context.clock
        self._root = Root(context.folder, settings.root)
        self._tools = make_tools(settings)

    def tools(self) -> Sequence[Tool]:
        """`read`, `list` and `search`."""
        return self._tools

    async def call(self, name: str, arguments: Arguments, context: ToolContext) -> JSON:
        """Run one of the tools.

        Raises :class:`PathRefused` for a path that leaves the root or is no plain file or folder, :class:`ToolFailed`
        for one that is missing or may not be read, :class:`AskModelAgain` for a wrong pattern or a folder in place of
        a file, :class:`InputInvalid` when the root is missing, :class:`StorageUnavailable` when the machine fails,
        :class:`UsageError` after :meth:`aclose`.
        """
        work = self._work(name, arguments)
        watch = Watch(self._clock, self._settings.timeout_s, anyio.from_thread.check_cancelled)
        try:
            return await anyio.to_thread.run_sync(work, watch)
        except OSError as error:
            raise StorageUnavailable(f"Reading failed: {error.strerror or error}.", executed="no") from error
        finally:
            watch.stop()

    async def aclose(self) -> None:
        """Give the root folder back. Calls under way end normally; later ones raise :class:`UsageError`."""
        if not self._root.close_nowait():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._root.close)

    def _work(self, name: str, arguments: Arguments) -> Callable[[Watch], JSON]:
        root, settings = self._root, self._settings
        match name:
            case "read":
                reading = _reading(arguments)
                return lambda watch: read(root, settings, reading, watch)
            case "list":
                listing = _listing(arguments)
                return lambda watch: list_folder(root, settings, listing, watch)
            case "search":
                searching = _searching(arguments)
                return lambda watch: search(root, settings, searching, watch)
        raise UnknownName("tool of the toolset 'files'", name, [tool.name for tool in self._tools])


def _reading(arguments: Arguments) -> Reading:
    return Reading(
        str(arguments["path"]), _number(arguments, "start_line", 1), _number(arguments, "max_lines", DEFAULT_LINES)
    )


def _listing(arguments: Arguments) -> Listing:
    return Listing(
        str(arguments.get("path", ".")),
        str(arguments.get("pattern", "*")),
        _number(arguments, "max_entries", DEFAULT_ENTRIES),
    )


def _searching(arguments: Arguments) -> Searching:
    return Searching(
        str(arguments.get("path", ".")),
        str(arguments["pattern"]),
        bool(arguments.get("regex", False)),
        bool(arguments.get("ignore_case", False)),
        str(arguments.get("files", "*")),
        _number(arguments, "max_matches", DEFAULT_MATCHES),
    )


def _number(arguments: Arguments, name: str, default: int) -> int:
    value = arguments.get(name, default)
    return int(value) if isinstance(value, int | float) else default
