"""A player: finds the recorded call that answers a call, and says what is different where none does."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from agentflow_kernel.errors import NotSerialisable
from agentflow_kernel.testing.cassette_failures import CassetteMiss, CassetteStale, CassetteUnplayed, differences
from agentflow_kernel.testing.cassette_file import Entry
from agentflow_kernel.testing.cassette_outcomes import plain
from agentflow_kernel.testing.cassette_redaction import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.cassette_failures import CassetteFailure
    from agentflow_kernel.testing.cassette_file import CassetteFile, Kind
    from agentflow_kernel.testing.cassette_redaction import Redactor
    from agentflow_kernel.testing.cassette_rules import CassetteRules

    Key = tuple[str, str, str, str]
    """Kind, name, call, and the request as it is compared."""


class Player:
    """Plays each recorded call once. A hit costs one look into a table, however long the cassette is.

    The first failure stays: each later call raises it again, so that nothing goes on from an answer that was none.
    """

    def __init__(self, path: str, file: CassetteFile, rules: CassetteRules, redactor: Redactor) -> None:
        self.path = path
        self.file = file
        self.failure: CassetteFailure | None = None
        self.comparisons = 0
        """How many recorded calls were compared field by field so far; only a miss compares."""
        self._rules = rules
        self._redactor = redactor
        self._unplayed = dict(enumerate(file.entries))
        self._keys = [self._key_of(entry) for entry in file.entries]
        self._places: defaultdict[Key, deque[int]] = defaultdict(deque)
        for place, key in enumerate(self._keys):
            self._places[key].append(place)

    def play(self, kind: Kind, name: str, call: str, request: object) -> Entry:
        """The recorded call that answers this one; raises :class:`CassetteMiss`."""
        if self.failure is not None:
            raise self.failure.again()
        try:
            asked = Entry(kind, name, call, self._redactor.redact(plain(request, "the request")))
        except NotSerialisable as error:
            raise self.fail(CassetteMiss(self.path, f"{kind} {name!r}, {call}", str(error))) from error
        key = self._key_of(asked)
        places = self._places.get(key)
        if places and (self._rules.order == "any" or places[0] == next(iter(self._unplayed))):
            return self._unplayed.pop(places.popleft())
        raise self.fail(self._miss(asked, key))

    def fail(self, failure: CassetteFailure) -> CassetteFailure:
        """The failure, remembered if it is the first one."""
        if self.failure is None:
            self.failure = failure
        return failure

    def tools_of(self, name: str, offered: JSON) -> JSON:
        """The recorded tools of a toolset, without secrets.

        ``offered`` are those of the real one, ``None`` where there is none. Raises :class:`CassetteStale` when they
        differ, or when nothing was recorded under this name.
        """
        recorded: JSON = self.file.toolsets.get(name)
        what = f"toolset {name!r}"
        if recorded is None:
            raise self.fail(CassetteStale(self.path, what, f"is not in it; it has {_names(self.file.toolsets)}."))
        if offered is not None:
            found = list(differences(_collapsed(recorded), _collapsed(self._redactor.redact(offered))))
            if found:
                tools = dict.fromkeys(difference.path.partition(".")[0] for difference in found)
                problem = f"has other tools now: {_names(tools)} differ from what was recorded."
                raise self.fail(CassetteStale(self.path, what, problem, found))
        return recorded

    def check_provider(self, name: str, kind: str | None) -> None:
        """Raise :class:`CassetteStale` when the provider was not recorded, or is of another class than ``kind``."""
        recorded, what = self.file.providers.get(name), f"provider {name!r}"
        if recorded is None:
            raise self.fail(CassetteStale(self.path, what, f"is not in it; it has {_names(self.file.providers)}."))
        if kind is not None and recorded.get("class") != kind:
            raise self.fail(CassetteStale(self.path, what, f"is now {kind}; recorded was {recorded.get('class')}."))

    def check_age(self) -> None:
        """Raise :class:`CassetteStale` when the recording is older than the rules allow."""
        limit_s = self._rules.max_age_s
        age_s = self._rules.clock.now() - self.file.recorded_at
        if limit_s is not None and age_s > limit_s:
            raise CassetteStale(self.path, "it", f"is {age_s:.0f} s old, more than the {limit_s:.0f} s allowed.")

    def check_complete(self) -> None:
        """Raise the failure that there was, or :class:`CassetteUnplayed`."""
        if self.failure is not None:
            raise self.failure.again()
        if self._unplayed:
            raise CassetteUnplayed(self.path, [f"call {place + 1}: {entry}" for place, entry in self._unplayed.items()])

    def _key_of(self, entry: Entry) -> Key:
        """What has to be equal: of secrets only that there is one, of objects not the order of their fields."""
        document = plain(entry.request, str(entry)) if self._rules.normalise else entry.request  # theirs to change
        for change in self._rules.normalise:
            document = change(document)
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return entry.kind, entry.name, entry.call, PLACEHOLDER.sub("<redacted>", text)

    def _miss(self, asked: Entry, key: Key) -> CassetteMiss:
        call, total = str(asked), len(self._keys)
        expected = next(iter(self._unplayed), None)
        if expected is None:
            return CassetteMiss(self.path, call, f"all {total} recorded calls have been played.")
        exact = self._rules.order == "exact"
        nearest = expected if exact else self._nearest(key, expected)
        why = f"{'next' if exact else 'nearest'} is call {nearest + 1} of {total} ({self._unplayed[nearest]})."
        if self._places.get(key):
            why = f"an equal one is call {self._places[key][0] + 1}, but {why}"
        elif key in self._places:
            why = f"every equal one ({self._keys.count(key)}) has been played; {why}"
        found = list(differences(_document(self._keys[nearest]), _document(key)))
        return CassetteMiss(self.path, call, why, nearest=nearest + 1, found=found)

    def _nearest(self, key: Key, first: int) -> int:
        """The unplayed call with the fewest differences: of the same name if there is one, the earliest of equals."""
        for same in (3, 2, 1):
            candidates = [place for place in self._unplayed if self._keys[place][:same] == key[:same]]
            if candidates:
                break
        else:
            return first
        asked, best, least = _document(key), first, None
        for place in candidates:
            self.comparisons += 1
            found = differences(_document(self._keys[place]), asked)
            count = len(list(itertools.islice(found, least)))
            if least is None or count < least:
                best, least = place, count
        return best


def _document(key: Key) -> JSON:
    """The request of a key, with the name where that counts too."""
    kind, name, call, text = key
    request: JSON = json.loads(text)
    return {"kind": kind, "name": name, "call": call, "request": request}


def _collapsed(document: JSON) -> JSON:
    collapsed: JSON = json.loads(PLACEHOLDER.sub("<redacted>", json.dumps(document, ensure_ascii=False)))
    return collapsed


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
