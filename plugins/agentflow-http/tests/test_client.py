"""What exceptions of httpx2 mean: every one of them, so that none gets out as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from agentflow_http.client import disarm, explain
from agentflow_kernel.errors import Elapsed, Overloaded, PeerUnavailable, ProtocolViolation, UsageError

if TYPE_CHECKING:
    from agentflow_kernel.errors import AgentFlowError

MEANING: dict[str, tuple[type[AgentFlowError], str]] = {
    "CloseError": (PeerUnavailable, "maybe"),
    "ConnectError": (PeerUnavailable, "no"),
    "ConnectTimeout": (Elapsed, "no"),
    "DecodingError": (ProtocolViolation, "maybe"),
    "HTTPStatusError": (PeerUnavailable, "maybe"),
    "LocalProtocolError": (UsageError, "no"),
    "PoolTimeout": (Overloaded, "no"),
    "ProxyError": (PeerUnavailable, "no"),
    "ReadError": (PeerUnavailable, "maybe"),
    "ReadTimeout": (Elapsed, "maybe"),
    "RemoteProtocolError": (PeerUnavailable, "maybe"),
    "SSEError": (PeerUnavailable, "maybe"),
    "TooManyRedirects": (ProtocolViolation, "maybe"),
    "UnsupportedProtocol": (UsageError, "no"),
    "WriteError": (PeerUnavailable, "maybe"),
    "WriteTimeout": (Elapsed, "maybe"),
}


def leaves(error: type[Exception]) -> list[type[Exception]]:
    below = error.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [error]


@pytest.mark.parametrize("kind", leaves(httpx2.HTTPError), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx2_has_a_meaning(kind, make_provider) -> None:
    """One that a later version adds fails here until its meaning is decided."""
    provider = make_provider("http://127.0.0.1:1")
    fault = kind.__new__(kind)
    Exception.__init__(fault, "said so")
    error = explain(fault, provider._peer, provider._settings)
    assert (type(error), error.executed) == MEANING[kind.__name__]
    assert "provider 'desk'" in str(error)


def test_a_disarmed_exception_and_its_causes_hold_no_request_no_frames_and_no_secret(make_provider) -> None:
    provider = make_provider("http://127.0.0.1:1", api_key="sk-test-0123456789abcdef")
    secret = provider._secrets.read_key()
    request = httpx2.Request("POST", "http://localhost", headers={"x-key": secret})
    with pytest.raises(httpx2.ReadError) as caught:
        raise httpx2.ReadError(f"broken by {secret}", request=request) from ValueError(secret, secret.encode())
    disarmed = disarm(caught.value, provider._peer)
    for link in (disarmed, disarmed.__cause__):
        assert link is not None
        assert link.__traceback__ is None
        assert secret not in str(link) + repr(link.args) + repr(vars(link))
        assert request not in vars(link).values()
