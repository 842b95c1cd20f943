"""The usage of a call, read from the field ``usage`` as the vendor and the servers that follow it write it."""

from __future__ import annotations

from agentflow_kernel.contracts.provider import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON


def decode_usage(value: JSON) -> Usage:
    """Tokens without their price; zeros where the server tells nothing.

    ``prompt_tokens`` counts the whole prompt, also what came from the cache (``prompt_tokens_details``; some servers
    tell it as ``prompt_cache_hit_tokens``). ``completion_tokens`` includes what the model thought; servers that count
    it apart are known by a total that is larger by just that.
    """
    prompt = _count(value, "prompt_tokens")
    completion = _count(value, "completion_tokens")
    details = value.get("prompt_tokens_details") if isinstance(value, dict) else None
    cached = _count(details, "cached_tokens") or _count(value, "prompt_cache_hit_tokens")
    thought = value.get("completion_tokens_details") if isinstance(value, dict) else None
    reasoning = _count(thought, "reasoning_tokens")
    if reasoning and _count(value, "total_tokens") >= prompt + completion + reasoning:
        completion += reasoning
    return Usage(prompt, completion, cached, cache_write_tokens=_count(details, "cache_write_tokens"))


def _count(value: JSON, name: str) -> int:
    """A count of tokens; 0 for what is missing, null or no count."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0
