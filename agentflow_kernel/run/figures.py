"""The figures of a run: how many steps it has completed, and what its model calls have consumed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON

    Figures = dict[str, JSON]
    """``steps``, ``model_calls``, sums of tokens, ``cost_usd`` of the calls with a known price, and how many had none
    (``unpriced_calls``). What is 0 is left out."""

_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")


def add_figures(figures: Figures, payload: Mapping[str, JSON]) -> None:
    """Add what one completed step has on record."""
    _add(figures, "steps", 1)
    add_step_figures(figures, payload)


def add_step_figures(figures: Figures, payload: Mapping[str, JSON]) -> None:
    """Add what one completed step has on record, where it is a call of a model."""
    usage = usage_of(payload)
    if usage is not None:
        add_model_call(figures, usage)
    elif payload.get("unpriced"):
        add_model_call(figures, {})


def add_model_call(figures: Figures, usage: Mapping[str, JSON]) -> None:
    """Add one call of a model; ``usage`` is empty where nothing is known of it."""
    _add(figures, "model_calls", 1)
    for name in _TOKENS:
        _add(figures, name, usage.get(name))
    cost = usage.get("cost_usd")
    _add(figures, "cost_usd", cost)
    if cost is None:
        _add(figures, "unpriced_calls", 1)


def figures_of(records: Iterable[Record]) -> Figures:
    """The figures of a run from its records, in order; a snapshot has those of the records before it."""
    figures: Figures = {}
    for record in records:
        payload: Mapping[str, JSON] = record.payload if isinstance(record.payload, dict) else {}
        if record.type == "step.completed":
            add_figures(figures, payload)
        elif record.type == "snapshot":
            saved = payload.get("figures")
            figures = dict(saved) if isinstance(saved, dict) else {}
    return figures


def usage_of(payload: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
    """The usage that a completed model call has on record, ``None`` for any other step.

    An agent's output tells of usage too: that of its calls, which are on record themselves.
    """
    result = payload.get("result")
    usage = result.get("usage") if isinstance(result, dict) and "message" in result else None
    return usage if isinstance(usage, dict) and "input_tokens" in usage else None


def _add(figures: Figures, name: str, count: JSON) -> None:
    if isinstance(count, int | float) and count:
        known = figures.get(name, 0)
        figures[name] = count + (known if isinstance(known, int | float) else 0)
