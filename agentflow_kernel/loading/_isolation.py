"""Isolation: foreign code is run so that whatever it raises disables that plugin and nothing else."""

from __future__ import annotations

from agentflow_kernel.errors import PluginLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from agentflow_kernel.loading._catalogue import Entry

_TEXT_LIMIT = 500


class Isolation:
    """``with Isolation(entry, "at import"):`` turns every exception of the block into a :class:`PluginLoadError`.

    ``SystemExit`` is turned as well; ``KeyboardInterrupt`` and the classes in ``passing`` come through. ``failed``
    takes the cause under the entry's value, so that the plugin need not be tried again.
    """

    __slots__ = ("entry", "stage", "failed", "passing")

    def __init__(
        self,
        entry: Entry,
        stage: str,
        failed: dict[str, str] | None = None,
        passing: tuple[type[BaseException], ...] = (),
    ) -> None:
        self.entry = entry
        self.stage = stage
        self.failed = failed
        self.passing = passing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (KeyboardInterrupt, *self.passing)):
            return
        cause = cause_of(error, self.stage)
        if self.failed is not None:
            self.failed[self.entry.value] = cause
        raise failure(self.entry, cause) from error


def failure(entry: Entry, cause: str) -> PluginLoadError:
    """The error that names a plugin, its distribution and the cause."""
    return PluginLoadError(entry.name, entry.distribution, entry.version, cause)


def cause_of(error: BaseException, stage: str) -> str:
    """An exception in one line: its class, when it came, its text."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 -- even its text is foreign code
        text = ""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text)  # it may go to a terminal
    if len(text) > _TEXT_LIMIT:
        text = text[:_TEXT_LIMIT] + "…"
    return f"{type(error).__name__} {stage}" + (f": {text}" if text else "")


def resolve(reference: str) -> object:
    """What ``module:Name`` (or ``module`` alone) names; imports the module, whose exceptions come through.

    Raises:
        ValueError: ``reference`` has another form.
    """
    import importlib  # lazy: 1 ms, at the first plugin

    module, colon, path = reference.partition(":")
    if not module or (colon and not path):
        raise ValueError(f"{reference!r} is not of the form 'module:Name'")
    found: object = importlib.import_module(module)
    for name in path.split(".") if colon else ():
        found = getattr(found, name)
    return found
