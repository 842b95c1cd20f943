"""Durable calls: what a node may do in the middle of its work that a crash does not undo; the user's side of it."""

from __future__ import annotations

from agentflow_kernel.errors import Unsupported, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from agentflow_kernel.contracts.tool import Effect
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.history import OnUnknown
    from agentflow_kernel.run.runtime import Context

_RESERVED = "!@/[]:"
"""Characters that have a meaning in an identity."""


class DurableCalls:
    """The durable calls of a :class:`Context`.

    Each call has an identity: the first ``step("charge")`` of an action is ``<path>!charge``, the second one
    ``<path>!charge@2``. Calls of the same name are told apart by their order alone; give calls that are made side by
    side names of their own. The calls that wait need an ``async def`` node.
    """

    __slots__ = ()

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: object,
        effect: Effect = "idempotent",
        on_unknown: OnUnknown = "stuck",
    ) -> Awaitable[Any]:
        """Call ``function(*arguments)`` and put its result on record; once it is there, it is never called again.

        A plain function runs in a thread. Arguments and result must be JSON in a run with a journal; the result is
        what JSON gives back. An error is passed on and not recorded: the next attempt calls again. The function
        should make no durable calls of its own: when its result is found, they are not counted.

        With ``effect="effect"`` an intent is put on record before the call. When it is all there is (the process
        died, or the call failed and may have been executed), ``on_unknown`` decides: ``stuck`` parks the run,
        ``retry`` calls again, ``fail`` raises :class:`OutcomeUnknown`.
        Raises :class:`NonDeterminism` when this step is on record with other arguments.
        """
        _check_name("step", name)
        context = _context_of(self, "A durable step")
        from agentflow_kernel.run.substeps import run_step  # only nodes that use it pay

        return run_step(context, context.occurrence(name), (name, function, arguments), effect, on_unknown)

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait until so many seconds from now, by a deadline that is on record: a resumed run waits for the rest.

        An overdue timer fires at once. Setting the wall clock back while this process waits does not delay it;
        setting it forward may end the wait early, by at most as much.
        """
        if not -1e12 < seconds < 1e12:
            raise ValueError(f"sleep({seconds!r}): expected a finite number of seconds.")
        context = _context_of(self, "A durable timer")
        from agentflow_kernel.run.waits import sleep_until_due  # only nodes that use it pay

        return sleep_until_due(context, context.occurrence("sleep"), seconds)

    def wait(self, name: str, schema: JSON = None, timeout_s: float | None = None) -> Awaitable[JSON]:
        """Wait for a signal of this name and return its value; a signal that came before is taken at once.

        Each signal is consumed by one wait, the one that began first. With ``schema`` (JSON Schema) the sender of a
        value that does not fit gets :class:`InputInvalid`; one that came too early to be refused is left out.
        The wait goes on after a restart of the process, and so does its time-out.
        Raises :class:`Elapsed` after ``timeout_s`` seconds, and does so again in a resumed run; :class:`UsageError`
        for a schema that is none.
        """
        _check_name("wait", name)
        if schema is not None:
            from agentflow_kernel.flow.asking import schema_problems  # only nodes that use it pay

            for problem in schema_problems("schema", schema):
                raise UsageError(f"wait({name!r}): {problem}.")
        context = _context_of(self, "Waiting for a signal")
        if timeout_s is None and not context.run.reachable:
            raise Unsupported(
                "Waiting for a signal", "this flow runs without a kernel, so nobody can send one; give it a timeout_s."
            )
        from agentflow_kernel.run.waits import wait_for_signal  # only nodes that use it pay

        return wait_for_signal(context, context.occurrence(f"wait:{name}"), name, schema, timeout_s)

    def ask(
        self,
        question: str,
        *,
        about: object = None,
        choices: Sequence[str] | None = None,
        schema: JSON = None,
        timeout_s: float | None = None,
        by: Sequence[str] = (),
    ) -> Awaitable[JSON]:
        """Ask a person and return the answer; see :class:`~agentflow_kernel.flow.asking.Ask`.

        ``about`` is shown with the question. The question goes on after a restart, and so does its time-out. An
        answer counts only for exactly this question about exactly this.
        Raises :class:`Elapsed` after ``timeout_s`` seconds, and does so again in a resumed run.
        """
        from agentflow_kernel.flow.asking import Ask  # only nodes that ask pay

        asked = Ask(question, choices=choices, schema=schema, timeout_s=timeout_s, by=by)
        for problem in asked.problems():
            raise UsageError(f"ask({question!r}): {problem}.")
        context = _context_of(self, "Asking a person")
        from agentflow_kernel.run.canonical import to_json
        from agentflow_kernel.run.questions import ask_person

        path = context.occurrence("ask")
        return ask_person(context, path, asked, to_json(about, path)[0])

    def approve(
        self, action: str, arguments: object, *, timeout_s: float | None = None, by: Sequence[str] = ()
    ) -> Awaitable[None]:
        """Return once a person has approved the action with exactly these arguments, which must be JSON.

        ``by`` names the subjects that may approve, anybody when it is empty.
        Raises :class:`ApprovalRefused` when it is refused, or expired after ``timeout_s`` seconds.
        """
        from agentflow_kernel.flow.asking import Approval  # only nodes that ask pay

        approval = Approval(by=by, timeout_s=timeout_s)
        for problem in approval.problems():
            raise UsageError(f"approve({action!r}): {problem}.")
        context = _context_of(self, "Asking for approval")
        from agentflow_kernel.run.canonical import to_json
        from agentflow_kernel.run.questions import approve_action

        path = context.occurrence("approval")
        return approve_action(context, path, (action, to_json(arguments, path)[0]), approval)

    def patched(self, patch_id: str) -> bool:
        """Whether the run takes the new way at a place where the code was changed; decided once a run, on record.

        ``True`` for a run that comes here for the first time. ``False`` for one that may have passed this place
        before the patch was there: an earlier owner has put durable calls of this action on record that this attempt
        has not come to yet, or has completed another visit or item of this node.
        """
        from agentflow_kernel.run.patches import decide  # only nodes that use it pay

        context = _context_of(self)
        patches = context.run.standing.patches
        if patch_id not in patches:
            patches[patch_id] = decide(context, patch_id)
        return patches[patch_id]

    def random(self) -> float:
        """A number from 0 up to 1 that is the same whenever this action is repeated; nothing is recorded.

        The first call of an action gives one number, the second another: draw in the node itself, not in a function
        that a step may find done. No secret: who knows run id and path knows it. A flow that runs without a kernel has
        no run id and gets a new number each time.
        """
        return int(_seed(_context_of(self), "random")[:13], 16) / 16**13

    def uuid(self) -> str:
        """A UUID (version 8) that is the same whenever this action is repeated; otherwise as :meth:`random`."""
        seed = _seed(_context_of(self), "uuid")
        variant = "89ab"[int(seed[16], 16) & 3]
        return f"{seed[:8]}-{seed[8:12]}-8{seed[13:16]}-{variant}{seed[17:20]}-{seed[20:32]}"


def _seed(context: Context, call: str) -> str:
    """32 hex digits that belong to the next call of this name."""
    path = context.occurrence(call)
    if context.run.run_id:
        return context.run.key_of(path)
    import secrets  # lazy: only flows without a kernel

    return secrets.token_hex(16)


def _check_name(what: str, name: str) -> None:
    if not name or any(char in _RESERVED for char in name):
        raise UsageError(
            f"{name!r} is no name for a {what}: expected a text without the characters {' '.join(_RESERVED)}"
        )


def _context_of(calls: DurableCalls, what: str = "") -> Context:
    """The context that the calls belong to; raises :class:`Unsupported` where it has to wait and cannot."""
    context: Context = calls  # type: ignore[assignment]  # the one class made of it
    if not what:
        return context
    if context.run.loopless:
        raise Unsupported(what, "this run has no event loop; make the node an `async def` function.")
    import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

    try:
        anyio.get_current_task()
    except RuntimeError as error:
        raise Unsupported(
            what, "a plain function runs in a thread and cannot wait; make the node an `async def` function."
        ) from error
    return context
