"""A peer: the service at the other end as errors name it; makes the kernel's errors, each without a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_http.faults import executed_at_status, read_retry_after
from agentflow_kernel.errors import (
    CredentialRefused,
    PeerUnavailable,
    PromptTooLong,
    ProtocolViolation,
    RateLimited,
    Refused,
    UnknownModel,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_http.dialect import Dialect, Executed, Fault
    from agentflow_http.secrets import Secrets
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.errors import AgentFlowError

_LONGEST_MESSAGE = 500
"""Characters of a vendor's message that an error keeps."""


class Peer:
    """One service behind one resource of a manifest."""

    __slots__ = ("name", "_dialect", "_resource", "_secrets", "_clock")

    def __init__(self, dialect: Dialect, resource: str, secrets: Secrets, clock: Clock) -> None:
        self.name = f"{dialect.vendor} (provider {resource!r})"
        self._dialect = dialect
        self._resource = resource
        self._secrets = secrets
        self._clock = clock

    def scrub(self, text: str) -> str:
        """The text without secrets and control characters, shortened."""
        text = " ".join(self._secrets.scrub(text).split())
        text = "".join(character if character.isprintable() else "?" for character in text)
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"

    def refuse_status(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> AgentFlowError:
        """The error that an answer with a status other than 2xx stands for."""
        if status < 400:
            target = self.scrub(headers.get("location", "an address it does not name"))
            return UsageError(f"{self.name} redirects to {target}. Redirects are not followed: correct 'base_url'.")
        fault = self._dialect.fault(status, headers, body)
        retry_after_s = read_retry_after(headers, self._clock.now())
        wait_s = retry_after_s if fault.retry_after_s is None else fault.retry_after_s
        asks = f" and asks to wait {wait_s:,.12g} s" if wait_s else ""
        error = self.error(fault, model, executed=executed_at_status(status), what=f"answered {status}{asks}")
        error.retry_after_s = wait_s
        return error

    def refuse_event(self, fault: Fault, model: str) -> AgentFlowError:
        """The error that an error inside a stream stands for: the work had begun."""
        return self.error(fault, model, executed="maybe", what="broke off")

    def error(self, fault: Fault, model: str, *, executed: Executed, what: str) -> AgentFlowError:
        """The kernel's error for a fault; ``executed`` is what holds where the fault does not say."""
        executed = fault.executed or executed
        said = self.scrub(": ".join(filter(None, (fault.type, fault.message)))) or "no message"
        text = f"{self.name} {what}: {said}"
        error: AgentFlowError
        match fault.kind:
            case "credential":
                error = CredentialRefused(f"{text}. The key came from {self._secrets.origin}.")
            case "model":
                known = [name for info in self._dialect.models for name in (*info.aliases, info.name)]
                error = UnknownModel(f"model of provider {self._resource!r}", model, known)
            case "prompt":
                error = PromptTooLong(model, said)
            case "rate":
                error = RateLimited(text)
            case "unavailable":
                error = PeerUnavailable(text)
            case "refused":
                error = Refused(text)
            case "protocol":
                error = ProtocolViolation(text)
            case "usage":
                error = UsageError(text)
        error.executed = executed
        error.retry_after_s = fault.retry_after_s
        return error

    def garbled(self, problem: str) -> ProtocolViolation:
        """An answer that is not what the protocol says."""
        return ProtocolViolation(f"{self.name} broke its protocol: {self.scrub(problem)}", executed="maybe")

    def cut_off(self) -> PeerUnavailable:
        """An answer that ended before it was whole."""
        return PeerUnavailable(f"{self.name} ended its answer in the middle.", executed="maybe")

    def closed(self, executed: Executed) -> PeerUnavailable:
        """A call of, or under way in, a provider that has been closed."""
        return PeerUnavailable(f"The provider {self._resource!r} was closed.", executed=executed)
