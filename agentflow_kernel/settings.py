"""The settings of the kernel: ``agentflow.toml``, which says what may be imported and run, and where state lies.

::

    [plugins]
    trust = "listed"                      # or "installed"

    [plugins.allow]                       # distribution = version range, or a table
    agentflow-tools = ">=0.1,<0.2"
    agentflow-sqlite = { version = "~=0.1.0", hash = "sha256:…" }

    [code]
    allow = ["nodes.py", "examples/**/*.py"]

    [journal]
    plugin = "sqlite"                     # the journal of commands whose manifest names none

    [runs]
    snapshot_records = 10_000             # and snapshot_mib, max_records, max_mib
    keep = "30d"                          # delete runs that ended so long ago; without it all are kept
    compact = true                        # delete what a run has on record before each snapshot
"""

from __future__ import annotations

import os

from agentflow_kernel.errors import UsageError, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Literal, NoReturn

    Trust = Literal["installed", "listed"]

FILE_NAME = "agentflow.toml"

_TRUST = ("installed", "listed")


class PluginRule:
    """One line of ``[plugins.allow]``: a version range (``*`` is any) and the hash of its files or ``""``."""

    __slots__ = ("version", "digest")

    def __init__(self, version: str = "*", digest: str = "") -> None:
        self.version = version
        self.digest = digest

    def __repr__(self) -> str:
        return f"PluginRule({self.version!r}, {self.digest!r})"


class Settings:
    """What one ``agentflow.toml`` says, checked; without a file, the defaults.

    ``file`` is its absolute path or ``None``. ``trust`` is ``installed`` without a file or its ``[plugins]`` table;
    with it ``listed``, unless the table says otherwise. ``plugins`` maps the normalised name of a distribution to its
    rule. ``code`` are the entries of ``[code] allow``. ``journal`` is the plugin of runs whose manifest names none.
    ``runs`` are the entries of ``[runs]``, ``keep`` in seconds, ``compact`` as 0 or 1.
    """

    __slots__ = ("file", "trust", "plugins", "code", "journal", "runs")

    def __init__(
        self,
        *,
        file: str | None = None,
        trust: Trust = "installed",
        plugins: Mapping[str, PluginRule] | None = None,
        code: Collection[str] = (),
        journal: str = "sqlite",
        runs: Mapping[str, int] | None = None,
    ) -> None:
        self.file = file
        self.trust = trust
        self.plugins = plugins or {}
        self.code = tuple(code)
        self.journal = journal
        self.runs = runs or {}

    @classmethod
    def find(cls, folder: str | None = None) -> Settings:
        """The settings for ``folder`` (the working directory): of ``AGENTFLOW_CONFIG``, else of the nearest file above.

        Raises:
            UsageError: the file cannot be read, is no TOML, or has a key or type that it should not have; the error
                names file and key. Also when ``AGENTFLOW_CONFIG`` names no file.
        """
        named = os.environ.get("AGENTFLOW_CONFIG")
        if named:
            return cls.read(named)
        folder = _absolute(folder or ".")
        while True:
            file = os.path.join(folder, FILE_NAME)
            if os.path.lexists(file):  # a broken link must not widen trust
                return cls.read(file)
            parent = os.path.dirname(folder)
            if parent == folder:
                return cls()
            folder = parent

    @classmethod
    def read(cls, file: str) -> Settings:
        """The settings in one file.

        Raises:
            UsageError: as for :meth:`find`.
        """
        file = _absolute(file)
        document = _Table(file, "", _parse(file))
        document.only("plugins", "code", "journal", "runs")
        plugins, code = document.table("plugins"), document.table("code")
        journal = document.table("journal")
        journal.only("plugin")
        plugins.only("trust", "allow")
        code.only("allow")
        stated = plugins.text("trust", "listed" if "plugins" in document.values else "installed")
        if stated not in _TRUST:
            plugins.refuse("trust", f"cannot be {stated!r}.", _TRUST, stated)
        trust: Trust = "listed" if stated == "listed" else "installed"
        rules = _rules(plugins.table("allow"))
        named = journal.text("plugin", "sqlite")
        runs = _runs(document.table("runs"))
        return cls(file=file, trust=trust, plugins=rules, code=_code(code), journal=named, runs=runs)

    def allows_code(self, path: str) -> bool:
        """Whether ``[code] allow`` lists a file of Python code; always ``False`` without an ``agentflow.toml``.

        An entry is a file, a folder (all below it) or a pattern, relative to the folder of ``agentflow.toml``; ``*``
        and ``?`` stay within one folder, ``**`` crosses folders. Links are followed first, so that an allowed folder
        cannot lend its permission to a file elsewhere.
        """
        if self.file is None or not self.code:
            return False
        root, target = os.path.realpath(os.path.dirname(self.file)), os.path.realpath(path)
        if not target.startswith(os.path.join(root, "")):
            return False
        parts = os.path.relpath(target, root).split(os.sep)
        return any(_covers(entry, parts) for entry in self.code)

    def state_folder(self, explicit: str | None = None) -> str:
        """The absolute path of the state folder, which need not exist.

        In this order: ``explicit`` (the option ``--state``), ``AGENTFLOW_STATE``, ``.agentflow`` beside
        ``agentflow.toml``, ``.agentflow`` in the working directory.
        """
        named = explicit or os.environ.get("AGENTFLOW_STATE")
        if named:
            return _absolute(named)
        return _absolute(".agentflow" if self.file is None else os.path.join(os.path.dirname(self.file), ".agentflow"))


def normalise(distribution: str) -> str:
    """The name of a distribution as all tools compare it: lower case, runs of ``-_.`` as one dash."""
    name = distribution.lower().replace("_", "-").replace(".", "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name


class _Table:
    """A table of the file that knows where it stands, so that what is wrong with it can be said."""

    __slots__ = ("file", "path", "values")

    def __init__(self, file: str, path: str, values: Mapping[str, object]) -> None:
        self.file, self.path, self.values = file, path, values

    def only(self, *known: str) -> None:
        for key in self.values:
            if key not in known:
                self.refuse(key, "is not a setting.", known, key)

    def table(self, key: str) -> _Table:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.refuse(key, f"must be a table, not {_kind(value)}.")
        return _Table(self.file, self._at(key), value)

    def text(self, key: str, default: str) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str):
            self.refuse(key, f"must be text, not {_kind(value)}.")
        return value

    def refuse(self, key: str, problem: str, known: Collection[str] = (), name: str = "") -> NoReturn:
        hint = f" Known: {', '.join(map(repr, known))}." if known else ""
        close = nearest(name, known)
        hint += f" Did you mean {close!r}?" if close else ""
        raise UsageError(f"{self.file}: {self._at(key)} {problem}{hint}")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def _parse(file: str) -> dict[str, object]:
    import tomllib  # lazy: 10 ms, only where there is a file

    try:
        with open(file, "rb") as stream:
            return tomllib.load(stream)
    except OSError as exc:
        raise UsageError(f"{file}: cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{file}: is not TOML: {exc}.") from exc


def _rules(allow: _Table) -> dict[str, PluginRule]:
    """The lines ``name = ">=1,<2"`` and ``name = { version = …, hash = … }``, by normalised name."""
    rules: dict[str, PluginRule] = {}
    for name, value in allow.values.items():
        if normalise(name) in rules:
            allow.refuse(name, "stands twice in different spellings.")
        if isinstance(value, str):
            rules[normalise(name)] = PluginRule(value)
            continue
        if not isinstance(value, dict):
            allow.refuse(name, f'must be a version range such as ">=0.1,<0.2", or a table, not {_kind(value)}.')
        table = allow.table(name)
        table.only("version", "hash")
        digest = table.text("hash", "")
        if digest and not (digest.startswith("sha256:") and len(digest) == 71):
            table.refuse("hash", f"must be 'sha256:' and 64 hexadecimal digits, not {digest!r}.")
        rules[normalise(name)] = PluginRule(table.text("version", "*"), digest.lower())
    return rules


def _code(code: _Table) -> list[str]:
    entries = code.values.get("allow", [])
    if not isinstance(entries, list):
        code.refuse("allow", f"must be a list of paths, not {_kind(entries)}.")
    for number, entry in enumerate(entries):
        if not isinstance(entry, str) or not entry:
            code.refuse(f"allow[{number}]", f"must be a path, not {_kind(entry)}.")
        if os.path.isabs(entry) or ".." in entry.split("/") or "\\" in entry:
            code.refuse(f"allow[{number}]", f"must be a path below the folder of {FILE_NAME}, with '/', not {entry!r}.")
    return entries


_RUNS = ("snapshot_records", "snapshot_mib", "max_records", "max_mib")


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _runs(table: _Table) -> dict[str, int]:
    table.only(*_RUNS, "keep", "compact")
    found: dict[str, int] = {}
    for name, value in table.values.items():
        if name == "keep":
            found[name] = _span(table, name)
            continue
        if name == "compact":
            if not isinstance(value, bool):
                table.refuse(name, f"must be true or false, not {value!r}.")
            found[name] = int(value)
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            table.refuse(name, f"must be a whole number above 0, not {value!r}.")
        found[name] = value
    return found


def _span(table: _Table, key: str) -> int:
    """A time such as ``30d`` in seconds."""
    text = table.text(key, "")
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and int(number) and unit in _SECONDS):
        table.refuse(key, f'must be a whole number above 0 with s, m, h or d, such as "30d", not {text!r}.')
    return int(number) * _SECONDS[unit]


def _covers(entry: str, path: list[str]) -> bool:
    """Whether an entry of ``[code] allow`` covers a path, given in its parts."""
    parts = [part for part in entry.split("/") if part not in {"", "."}]
    if any(char in entry for char in "*?["):
        return _matches(parts, path)
    return path[: len(parts)] == parts


def _matches(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path) + 1))
    import fnmatch  # lazy: 8 ms, only for patterns

    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def _kind(value: object) -> str:
    """What a TOML value is, in words."""
    kinds = {dict: "a table", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(value), "a date or time")


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError as exc:
        raise UsageError("The working directory no longer exists. Change to another one.") from exc
