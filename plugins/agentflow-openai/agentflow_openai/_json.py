"""JSON as it comes from the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agentflow_http.dialect import Fault, Faulted

if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON

_decode = msgspec.json.Decoder().decode


def read_json(data: bytes) -> JSON:
    """The value; :class:`Faulted` with a breach of the protocol for bytes that are no JSON text in UTF-8."""
    try:
        value: JSON = _decode(data)
    except RecursionError:
        raise garbled("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise garbled("it is not UTF-8") from None
    except msgspec.MsgspecError as fault:
        raise garbled(f"it is not JSON: {fault}") from None
    return value


def garbled(problem: str) -> Faulted:
    """An answer that is not what the protocol says; the provider names the peer and hides what is secret."""
    return Faulted(Fault("protocol", problem, executed="maybe"))
