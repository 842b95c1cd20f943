"""The kinds of things a person names on the command line: their plural, singular and short names."""

from __future__ import annotations

from typing import Final

from agentflow_kernel.errors import UsageError, nearest


class ResourceKind:
    """One kind of resource: `Flow`, called `flows`, `flow` or `fl`."""

    __slots__ = ("kind", "plural", "short", "singular")

    def __init__(self, kind: str, plural: str, short: str) -> None:
        self.kind = kind
        self.plural = plural
        self.singular = kind.lower()
        self.short = short


RESOURCES: Final = (
    ResourceKind("Flow", "flows", "fl"),
    ResourceKind("Agent", "agents", "ag"),
    ResourceKind("Plan", "plans", "pl"),
    ResourceKind("Model", "models", "mo"),
    ResourceKind("Tool", "tools", "to"),
    ResourceKind("Memory", "memories", "me"),
    ResourceKind("Policy", "policies", "po"),
    ResourceKind("Trigger", "triggers", "tr"),
    ResourceKind("Journal", "journals", "jo"),
)

TO_PLURAL: Final = {word: each.plural for each in RESOURCES for word in (each.singular, each.short)} | {
    "run": "runs",
    "ru": "runs",
}
TO_SINGULAR: Final = {word: each.singular for each in RESOURCES for word in (each.plural, each.short)} | {
    "runs": "run",
    "ru": "run",
}


def find_kind(word: str) -> ResourceKind:
    """The kind of resource that a word means; raises :class:`UsageError` with the nearest for any other word."""
    known = {name: each for each in RESOURCES for name in (each.plural, each.singular, each.short)}
    if word.lower() in known:
        return known[word.lower()]
    close = nearest(word.lower(), known)
    hint = f"Did you mean {close!r}?" if close else f"There are: {', '.join(each.plural for each in RESOURCES)}."
    raise UsageError(f"No such kind {word!r}. {hint}")


def split_key(text: str) -> tuple[ResourceKind, str]:
    """Kind and name of `flow/triage`; raises :class:`UsageError` for a text without a kind."""
    word, stroke, name = text.partition("/")
    if not stroke or not name:
        raise UsageError(f"Expected KIND NAME or KIND/NAME such as flow/triage, found {text!r}.")
    return find_kind(word), name
