"""Errors of the surroundings: a peer, a resource or a permission is not there."""

from __future__ import annotations

from agentflow_kernel.errors.base import AgentFlowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.errors.base import Executed


class Unavailable(AgentFlowError):
    """A peer or resource did not answer; a later attempt may succeed."""

    code = "AF-UNAVAILABLE"
    resumable = True


class RateLimited(Unavailable):
    """The peer turned the call away because of its rate limit; it was not executed."""

    code = "AF-RATE-LIMITED"
    executed: Executed = "no"


class Overloaded(Unavailable):
    """Our own limit turned the call away; it was not executed."""

    code = "AF-OVERLOADED"
    executed: Executed = "no"


class Elapsed(Unavailable):
    """No answer within the time allowed; the peer may have executed the call."""

    code = "AF-ELAPSED"

    def __init__(self, what: str, timeout_s: float) -> None:
        super().__init__(f"{what} gave no answer within {timeout_s:g} s.")
        self.what, self.timeout_s = what, timeout_s


class FlowElapsed(Elapsed):
    """A node or flow was not complete within its ``timeout_s``; ``active`` are the paths of what was at work then.

    It has been cancelled, and that is on record: a resumed run would get no further.
    """

    code = "AF-FLOW-ELAPSED"
    resumable = False

    def __init__(self, what: str, timeout_s: float, active: Sequence[str] = ()) -> None:
        super().__init__(what, timeout_s)
        self.active = tuple(active)
        still = f" Still at work: {', '.join(active)}." if active else ""
        self.args = (f"{what} was not complete within {timeout_s:g} s.{still}",)


class PeerUnavailable(Unavailable):
    """The peer refused or broke the connection, or answered with a server error."""

    code = "AF-PEER-UNAVAILABLE"


class StorageUnavailable(Unavailable):
    """The disk is full, broken or locked; nothing that was acknowledged is lost."""

    code = "AF-STORAGE-UNAVAILABLE"


class Refused(AgentFlowError):
    """Permission, policy or content filter; the same call will be refused again."""

    code = "AF-REFUSED"
    executed: Executed = "no"


class CredentialRefused(Refused):
    """A key is missing, wrong, expired, or lacks the right; the message names the variable and the resource."""

    code = "AF-CREDENTIAL"
    resumable = True
    spares_nothing = True


class PathRefused(Refused):
    """A path that leaves its root, names something other than a plain file or folder, or may not be read."""

    code = "AF-PATH-REFUSED"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Path {path!r} is refused: {reason}")
        self.path, self.reason = path, reason


class NotAllowed(Refused):
    """A plugin, tool or capability that was not granted."""

    code = "AF-NOT-ALLOWED"


class ApprovalRefused(Refused):
    """A person has refused an action, or nobody approved it before its time was over (``expired``)."""

    code = "AF-APPROVAL-REFUSED"

    def __init__(self, what: str, *, by: str = "", reason: str = "", expired: bool = False) -> None:
        said = "Nobody approved" if expired else f"{by or 'A person'} refused"
        text = f"{said} {what}" + (" in time" if expired else "") + (f": {reason}" if reason else "")
        super().__init__(text if text.endswith(".") else f"{text}.")
        self.what, self.by, self.reason, self.expired = what, by, reason, expired


class ApprovalMismatch(Refused):
    """An answer was given for other content than what is asked now; it does not count."""

    code = "AF-APPROVAL-MISMATCH"

    def __init__(self, wait: str, given: str, expected: str) -> None:
        super().__init__(
            f"The answer to {wait!r} is for content with the hash {given[:16] or 'none'}, but what is asked has "
            f"{expected[:16]}. Look at what is asked now (`agentflow describe run`) and answer that."
        )
        self.wait, self.given, self.expected = wait, given, expected
