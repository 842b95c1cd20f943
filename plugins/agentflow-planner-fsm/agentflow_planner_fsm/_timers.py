"""The timers of a machine: what is to happen at a time, in the order of the times and of asking for it."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from agentflow_planner_fsm._event import Event
    from agentflow_planner_fsm._invocation import Invocation
    from agentflow_planner_fsm._session import Session


class Timer:
    """Something that is to happen at a time, unless it was taken back before by the session and ``id``."""

    __slots__ = ("due", "number", "session", "id", "is_off")

    def __init__(self, due: int, number: int, session: Session, id: object) -> None:
        self.due = due
        self.number = number
        self.session = session
        self.id = id
        self.is_off = False

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due if self.due != other.due else self.number < other.number


class Delayed(Timer):
    """An event to be delivered; its id is that of the send."""

    __slots__ = ("event", "target")

    id: str

    def __init__(self, due: int, number: int, session: Session, event: Event, target: str, send_id: str) -> None:
        super().__init__(due, number, session, send_id)
        self.event = event
        self.target = target


class NextAttempt(Timer):
    """An invocation to be tried again; it is its own id, so that no ``cancel`` of content can name it."""

    __slots__ = ()

    id: Invocation


class Timers:
    """A heap, and by session and id those that were not taken back; those that were, wait to be popped."""

    __slots__ = ("heap", "live", "pending")

    def __init__(self) -> None:
        self.heap: list[Timer] = []
        self.live: dict[tuple[str, object], dict[Timer, None]] = {}
        self.pending = 0
        """How many have not been taken back."""

    def add(self, timer: Timer) -> None:
        """Note a timer."""
        heappush(self.heap, timer)
        self.live.setdefault((timer.session.id, timer.id), {})[timer] = None
        self.pending += 1

    def due(self) -> int | None:
        """When the next one is due."""
        while self.heap and self.heap[0].is_off:
            heappop(self.heap)
        return self.heap[0].due if self.heap else None

    def pop(self) -> Timer:
        """The next one, which is there no longer; to be asked after :meth:`due`."""
        timer = heappop(self.heap)
        key = timer.session.id, timer.id
        same = self.live[key]
        del same[timer]
        if not same:
            del self.live[key]
        self.pending -= 1
        return timer

    def ordered(self) -> list[Timer]:
        """All of them in the order in which they will fire."""
        return sorted(timer for same in self.live.values() for timer in same)

    def take_back(self, session: Session, id: object) -> None:
        """Those of a session under this id never fire."""
        self._take_off(self.live.pop((session.id, id), ()))

    def drop(self, session: Session) -> None:
        """Those of a session never fire."""
        for key in [key for key in self.live if key[0] == session.id]:
            self._take_off(self.live.pop(key))

    def _take_off(self, timers: Collection[Timer]) -> None:
        for timer in timers:
            timer.is_off = True
        self.pending -= len(timers)
        if len(self.heap) > 64 and self.pending < len(self.heap) // 2:
            self.heap = [timer for timer in self.heap if not timer.is_off]
            heapify(self.heap)
