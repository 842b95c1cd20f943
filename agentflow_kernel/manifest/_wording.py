"""The wording of findings: how names and values are shown, always short whatever the manifest holds."""

from __future__ import annotations

from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LONGEST = 60
_MOST = 20
_SORTED = 500


def shown(text: str) -> str:
    """The text in quotes, cut after 60 characters."""
    return repr(text) if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]!r}…"


def listed(names: Collection[str]) -> str:
    """Twenty of the names in quotes, sorted where there are few enough to sort; ``none`` where there are none."""
    known = names if len(names) > _SORTED else sorted(names)
    text = ", ".join(map(shown, islice(known, _MOST)))
    return text + (f" and {len(known) - _MOST} more" if len(known) > _MOST else "") or "none"


def either(words: Iterable[str], joint: str = "or") -> str:
    """``'a', 'b' or 'c'``, in the order given."""
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}"


def described(value: object) -> str:
    """What a node holds, in words: ``the string 'x'``, ``a list``, ``nothing (null)``."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {shown(value)}" if value else "an empty string"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = str(value)
    return f"the number {text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}"
