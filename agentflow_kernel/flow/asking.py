"""An ask: what a flow wants to hear from outside before it goes on: an answer, an approval, a signal or an event."""

from __future__ import annotations

from agentflow_kernel.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.values import JSON


class Ask:
    """A step that asks a person; its result is the answer. The step's input is shown to whoever answers.

    ``choices`` are the only answers, or ``schema`` (JSON Schema) says which fit; with neither any JSON will do. An
    answer that is routed is also the action. ``by`` names the subjects that may answer, anybody when it is empty.
    Nobody answers within ``timeout_s`` seconds: the action ``elapsed`` where it is routed, else :class:`Elapsed`.
    """

    OPTIONS = ("choices", "schema", "timeout_s", "by")
    kind = "ask"

    __slots__ = ("question", *OPTIONS)

    def __init__(
        self,
        question: str,
        *,
        choices: Sequence[str] | None = None,
        schema: JSON = None,
        timeout_s: float | None = None,
        by: Sequence[str] = (),
    ) -> None:
        self.question = question
        self.choices = None if choices is None else _several(choices)
        self.schema = schema
        self.timeout_s = timeout_s
        self.by = _several(by)

    def problems(self) -> Iterator[str]:
        """What is wrong with the declaration itself."""
        if not str(self.question).strip():
            yield "a question must be a text"
        if self.choices is not None and (not self.choices or not _all_texts(self.choices)):
            yield "choices must be a list of texts with at least one"
        if self.choices is not None and self.schema is not None:
            yield "a question has either choices or a schema"
        yield from schema_problems("schema", self.schema)
        yield from _subject_problems(self.by)
        yield from time_problems("timeout_s", self.timeout_s)


class Wait:
    """A step that waits: for a ``signal`` of that name, for an ``event`` of that type, or ``seconds``; one of them.

    Its result is the signal's value or the event as ``{"id", "type", "source", "subject", "data"}``; behind a timer
    it is the step's input. An event counts from the moment at which the node waits, and only if the expression
    ``only_if`` over ``event`` and ``value`` (the step's input) holds. No signal or event within ``timeout_s``: the
    action ``elapsed`` where it is routed, else :class:`Elapsed`.
    """

    OPTIONS = ("event", "seconds", "schema", "timeout_s", "only_if")
    kind = "wait"

    __slots__ = ("signal", *OPTIONS)

    def __init__(
        self,
        signal: str | None = None,
        *,
        event: str | None = None,
        seconds: float | None = None,
        schema: JSON = None,
        timeout_s: float | None = None,
        only_if: str | None = None,
    ) -> None:
        self.signal = signal
        self.event = event
        self.seconds = seconds
        self.schema = schema
        self.timeout_s = timeout_s
        self.only_if = only_if

    def problems(self) -> Iterator[str]:
        """What is wrong with the declaration itself."""
        if sum(each is not None for each in (self.signal, self.event, self.seconds)) != 1:
            yield "a wait has exactly one of signal, event and seconds"
        if self.seconds is not None and (self.schema is not None or self.timeout_s is not None):
            yield "a timer has neither schema nor timeout_s"
        if self.only_if is not None and self.event is None:
            yield "only_if needs an event"
        elif self.only_if is not None:
            yield from _condition_problems(self.only_if)
        if self.signal is not None and (not self.signal or any(mark in self.signal for mark in "!@/[]:")):
            yield f"{self.signal!r} is no name for a signal: expected a text without the characters ! @ / [ ] :"
        yield from schema_problems("schema", self.schema)
        yield from time_problems("seconds", self.seconds)
        yield from time_problems("timeout_s", self.timeout_s)


class Approval:
    """What must happen before an action: a person who sees its exact arguments says yes.

    ``by`` names the subjects that may say it, anybody when it is empty. Without an answer in ``timeout_s`` seconds
    the approval has expired, which counts as a refusal. ``tools`` is for agents: the tools that need approval, those
    with the effect ``effect`` when it is ``None``.
    """

    OPTIONS = ("by", "timeout_s", "tools")

    __slots__ = OPTIONS

    def __init__(
        self, *, by: Sequence[str] = (), timeout_s: float | None = None, tools: Sequence[str] | None = None
    ) -> None:
        self.by = _several(by)
        self.timeout_s = timeout_s
        self.tools = None if tools is None else tuple(tools)

    @classmethod
    def of(cls, option: object) -> Approval | None:
        """The approval behind ``True``, options as a mapping, or an approval; ``None`` for ``False`` and ``None``."""
        if option is None or option is False:
            return None
        if isinstance(option, cls):
            return option
        if option is True:
            return cls()
        if not isinstance(option, dict) or set(option) - set(cls.OPTIONS):
            raise UsageError(f"approve must be true or a mapping with {', '.join(cls.OPTIONS)}, not {option!r}.")
        options: Mapping[str, object] = option
        return cls(**options)  # type: ignore[arg-type]  # checked by problems()

    def problems(self) -> Iterator[str]:
        """What is wrong with the declaration itself."""
        yield from _subject_problems(self.by)
        yield from time_problems("timeout_s", self.timeout_s)


def _several(given: Sequence[str]) -> tuple[str, ...]:
    """What is given as a list; a bare text, whose letters would be meant, stands for a mistake (``""``)."""
    return ("",) if isinstance(given, str) else tuple(given)


def _all_texts(given: Sequence[object]) -> bool:
    return all(isinstance(each, str) and each for each in given)


def _subject_problems(by: Sequence[object]) -> Iterator[str]:
    if not _all_texts(by):
        yield "by must be a list of subjects"


def read_ask(spec: Mapping[str, Any]) -> Ask:
    """The ask of a manifest."""
    return Ask(**spec)


def read_wait(spec: Mapping[str, Any]) -> Wait:
    """The wait of a manifest."""
    return Wait(**{"only_if" if key == "if" else key: value for key, value in spec.items()})


def time_problems(name: str, seconds: object) -> Iterator[str]:
    """A problem where something that is given is no positive number of seconds."""
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e12:
        yield f"{name} must be a number of seconds above 0, not {seconds!r}"


def schema_problems(name: str, schema: object) -> Iterator[str]:
    """A problem where something that is given is no JSON Schema, or is a misspelt one."""
    if schema is not None:
        from agentflow_kernel.schema import find_schema_problems  # only who gives a schema pays

        problems = find_schema_problems(schema)
        if problems:
            yield f"{name} is no sound JSON Schema: {'; '.join(problems)}"


def _condition_problems(text: str) -> Iterator[str]:
    from agentflow_kernel.expression import Expression  # lazy: only waits with conditions pay

    try:
        unknown = [name for name in Expression(text).names if name not in ("event", "value")]
    except UsageError as error:
        yield f"only_if {text!r}: {error}"
        return
    for name in unknown:
        yield f"only_if {text!r} asks for unknown {name!r}; known: event, value"
