"""A request to a run, left through an open kernel for whichever process works on the run."""

from __future__ import annotations

from agentflow_kernel.run.inbox import ask_answer, ask_cancel, ask_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.kernel.core import Kernel


async def signal_run(
    kernel: Kernel, run_id: str, name: str, value: object = None, *, signal_id: str | None = None
) -> str:
    """Leave a signal in the inbox that the owner of the run looks into, and return its id; it is durable then.

    The owner takes it within about a second, or ``resume`` does where the run has no owner. Two signals with the same
    ``signal_id`` count once. Raises :class:`UnknownRun`; :class:`RunEnded` for a run that has ended, unless
    it has this very signal on record;
    :class:`InputInvalid` when the run waits for this signal and the value does not fit.
    """
    records = await _history(kernel, run_id)
    request = ask_signal(run_id, name, value, signal_id=signal_id, records=records)
    if request is None:
        return str(signal_id)
    await kernel._open.leave(run_id, request)  # noqa: SLF001 -- one room
    return request.id


async def answer_run(kernel: Kernel, run_id: str, wait: str, reply: Mapping[str, object]) -> str:
    """Leave the answer to a question or approval, and return its id; ``reply`` as for ``run.inbox.leave_answer``."""
    request = ask_answer(run_id, wait, reply, await _history(kernel, run_id))
    await kernel._open.leave(run_id, request)  # noqa: SLF001 -- one room
    return request.id


async def cancel_run(kernel: Kernel, run_id: str) -> str:
    """Leave the request to end a run for good, and return its id; otherwise as :func:`signal_run`."""
    request = ask_cancel(run_id, await kernel.history(run_id))
    await kernel._open.leave(run_id, request)  # noqa: SLF001 -- one room
    return request.id


async def _history(kernel: Kernel, run_id: str) -> Sequence[Record]:
    """The records of a run, with the whole of its last snapshot: the records before that may have been deleted."""
    from agentflow_kernel.kernel.payloads import fetch_payloads  # only runs with a snapshot pay

    records = await kernel.history(run_id)
    last = next((record for record in reversed(records) if record.type == "snapshot"), None)
    if last is not None:
        await fetch_payloads(kernel._open.journal, [last])  # noqa: SLF001 -- one room
    return records
