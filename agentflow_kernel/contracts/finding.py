"""A finding: one fault of a graph or plan, as a sentence with a stable code and the place where it stands."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Finding(str):
    """The sentence, ending in its code: ``… [F009]``. ``where`` is the path in the document, ``()`` for all of it."""

    __slots__ = ("code", "where")

    code: str
    where: tuple[str | int, ...]

    def __new__(cls, code: str, text: str, *where: str | int) -> Self:
        """Made of code, sentence and place."""
        finding = super().__new__(cls, f"{text} [{code}]")
        finding.code = code
        finding.where = where
        return finding

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901), ``""`` for the whole document."""
        return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in self.where)


class PlanFinding(Finding):
    """One fault of a plan's document; ``step`` is the step, state or node it is about, ``suggestion`` what may help.

    With ``warning`` the plan can be followed nevertheless. Codes: ``docs/reference/plans.md``.
    """

    __slots__ = ("step", "suggestion", "warning")

    step: str
    suggestion: str
    warning: bool

    def __new__(
        cls, code: str, text: str, *where: str | int, step: str = "", suggestion: str = "", warning: bool = False
    ) -> Self:
        """Made of code, sentence and place; the suggestion is part of the sentence."""
        finding = super().__new__(cls, code, f"{text} {suggestion}" if suggestion else text, *where)
        finding.step = step
        finding.suggestion = suggestion
        finding.warning = warning
        return finding
