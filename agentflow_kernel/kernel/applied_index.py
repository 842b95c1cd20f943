"""An index of applied resources: which version of each is current, where it came from and what it names."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any


class AppliedResource(Value):
    """The current version of one applied resource.

    ``version`` counts from 1. ``digest`` is the hash of what it says and of its folder. ``names`` are its name and
    aliases, ``links`` the keys (``model/claude``) of what it names. A ``standing`` resource takes part in every run:
    a Journal, or a Trigger on the bus. ``folder`` is where its relative paths start, ``file`` and ``line`` where it
    was read, ``at`` the wall time at which it was applied.
    """

    __slots__ = ("kind", "name", "version", "digest", "names", "links", "standing", "folder", "file", "line", "at")

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        version: int,
        digest: str,
        names: Sequence[str],
        links: Sequence[str],
        standing: bool,
        folder: str,
        file: str,
        line: int,
        at: float,
    ) -> None:
        self.kind = kind
        self.name = name
        self.version = version
        self.digest = digest
        self.names = tuple(names)
        self.links = tuple(links)
        self.standing = standing
        self.folder = folder
        self.file = file
        self.line = line
        self.at = at

    @property
    def key(self) -> str:
        """How it is named: ``flow/triage``."""
        return key_of(self.kind, self.name)

    def to_json(self) -> dict[str, Any]:
        """All fields as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


class AppliedIndex:
    """What is applied at one moment, by key. ``last`` is the last version that each key has had, deleted ones too."""

    __slots__ = ("_named", "last", "resources", "revision")

    def __init__(
        self, resources: Iterable[AppliedResource] = (), *, last: Mapping[str, int] | None = None, revision: int = 0
    ) -> None:
        self.resources = {each.key: each for each in sorted(resources, key=lambda each: (each.kind, each.name))}
        self.last = {**(last or {}), **{key: each.version for key, each in self.resources.items()}}
        self.revision = revision
        self._named = {key_of(each.kind, name): each for each in self.resources.values() for name in each.names}

    def known(self) -> list[tuple[str, str]]:
        """Kinds and names, aliases included, as links may name them."""
        return [(each.kind, name) for each in self.resources.values() for name in each.names]

    def find(self, key: str) -> AppliedResource | None:
        """The resource of this key, or with this alias; ``None`` where there is none."""
        return self._named.get(key)

    def get(self, name: str, kinds: Sequence[str] = ()) -> AppliedResource:
        """The resource called ``flow/triage``, or ``triage`` where no other (of these kinds) has that name.

        Raises:
            UnknownName: none or several have it; ``known`` then lists them with their kinds.
        """
        considered = [each for each in self.resources.values() if not kinds or each.kind in kinds]
        if "/" in name:
            found = [each for each in considered if self.find(name) is each]
        else:
            found = [each for each in considered if name in each.names]
        if len(found) == 1:
            return found[0]
        what = "name (several applied resources have it)" if found else "applied resource"
        known = [each.key for each in found or considered]
        bare = [] if found or "/" in name else [each.name for each in considered]
        raise UnknownName(what, name, [*known, *bare])

    def targets(self, each: AppliedResource) -> list[str]:
        """The keys of the applied resources that it names, in order."""
        return [found.key for link in each.links if (found := self.find(link)) is not None]

    def referrers(self, key: str) -> list[str]:
        """The keys of the applied resources that name this one."""
        return [each.key for each in self.resources.values() if key in self.targets(each) and each.key != key]

    def reach(self, keys: Iterable[str]) -> list[str]:
        """The keys, and those of everything that they name directly or through others."""
        found = dict.fromkeys(keys)
        waiting = list(found)
        while waiting:
            for key in self.targets(self.resources[waiting.pop()]):
                if key not in found:
                    found[key] = None
                    waiting.append(key)
        return list(found)

    def parts_of(self, key: str) -> list[str]:
        """The keys of all that takes part in a run of this resource, itself first."""
        return self.reach([key, *(each.key for each in self.resources.values() if each.standing and each.key != key)])

    def problems(self) -> list[str]:
        """Why these resources do not fit together: links to nothing, names twice, flows that contain themselves."""
        found = []
        owners: dict[str, str] = {}
        for key, each in self.resources.items():
            gone = [link for link in each.links if self.find(link) is None]
            found += [f"{key} names {link}, which would not be there." for link in gone]
            for name in each.names:
                other = owners.setdefault(key_of(each.kind, name), key)
                if other != key:
                    found.append(f"{key} and {other} would both be called {name!r}.")
            if key in self.reach(self.targets(each)):
                found.append(f"{key} would contain itself.")
        return found


def key_of(kind: str, name: str) -> str:
    """How a resource is named: ``flow/triage``."""
    return f"{kind.lower()}/{name}"
