"""What a crash has left without a word: the receiver is asked, and where it does not know, the setting decides."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal
from planner_kit import make_agent

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.agent import ToolStep
from agentflow_kernel.contracts.tool import ToolOutcome
from agentflow_kernel.errors import PeerUnavailable, RunSuspended, UsageError
from agentflow_kernel.testing import FunctionToolset

pytestmark = pytest.mark.anyio

TURNS: list[Any] = [[("kit.pay", {"to": "x"})], "the end"]


class Bank:
    """A receiver: hangs in its first call, and says of a key what it is told to say."""

    def __init__(self, says: ToolOutcome | Exception | None) -> None:
        self.says = says
        self.died = anyio.Event()
        self.asked: list[str] = []
        self.toolset = FunctionToolset()
        self.toolset.add("pay", self._pay, effect="effect", check=None if says is None else self._check)

    @property
    def keys(self) -> list[str]:
        return [context.key for _, _, context in self.toolset.calls]

    async def _pay(self, arguments: Any) -> str:
        if not self.died.is_set():
            self.died.set()
            await anyio.sleep_forever()
        return "paid now"

    async def _check(self, key: str) -> ToolOutcome:
        self.asked.append(key)
        if isinstance(self.says, Exception):
            raise self.says
        assert self.says is not None
        return self.says


def subject_of(bank: Bank, kind: str, on_unknown: Any) -> Any:
    if kind == "agent":
        return make_agent(TURNS, bank.toolset, on_unknown=on_unknown)
    return Flow("f").step(ToolStep("bank.pay", bank.toolset, "pay"), name="pay", on_unknown=on_unknown)


async def killed_and_resumed(bank: Bank, kind: str, on_unknown: Any = "stuck") -> tuple[Any, list[Any]]:
    """The end of a run that died in the midst of the call, and its records."""
    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(subject_of(bank, kind, on_unknown), {"to": "x"})
        await bank.died.wait()
    async with Kernel(journal=journal) as kernel:
        kernel.add(subject_of(bank, kind, on_unknown))
        try:
            end: Any = await (await kernel.resume(handle.run_id)).result()
        except RunSuspended as error:
            end = error
        return end, list(await kernel.history(handle.run_id))


def result_of(records: list[Any]) -> Any:
    """What the call gave, as it is on record."""
    found = [record.payload["result"] for record in records if record.type == "step.completed"]
    return next(each for each in found if each in ("paid then", "paid now"))


@pytest.mark.parametrize("kind", ["agent", "flow"])
async def test_a_call_that_has_happened_is_not_made_again(kind: str) -> None:
    bank = Bank(ToolOutcome("yes", "paid then"))
    _, records = await killed_and_resumed(bank, kind)
    assert result_of(records) == "paid then"
    assert bank.asked == bank.keys  # asked by the key of the only call


@pytest.mark.parametrize("kind", ["agent", "flow"])
async def test_a_call_that_has_not_happened_is_made_with_its_key(kind: str) -> None:
    bank = Bank(ToolOutcome("no"))
    _, records = await killed_and_resumed(bank, kind)
    assert result_of(records) == "paid now"
    assert len(bank.keys) == 2
    assert set(bank.keys) == set(bank.asked)
    assert [record.type for record in records].count("step.intent") == 1


@pytest.mark.parametrize("kind", ["agent", "flow"])
@pytest.mark.parametrize(
    "says",
    [
        ToolOutcome("maybe"),
        PeerUnavailable("down"),
        RuntimeError("broken"),
        None,
        ToolOutcome("surely"),  # type: ignore[arg-type]  # a toolset that does not keep its contract
        True,
    ],
)
async def test_where_nobody_knows_the_run_is_parked(kind: str, says: Any) -> None:
    bank = Bank(says)
    end, _ = await killed_and_resumed(bank, kind)
    assert isinstance(end, RunSuspended)
    assert "was begun before the run stopped" in str(end)
    assert len(bank.keys) == 1


@pytest.mark.parametrize("kind", ["agent", "flow"])
async def test_where_nobody_knows_it_is_made_again_if_that_is_set(kind: str) -> None:
    bank = Bank(ToolOutcome("maybe"))
    _, records = await killed_and_resumed(bank, kind, "retry")
    assert result_of(records) == "paid now"
    assert len(bank.keys) == 2
    assert len(set(bank.keys)) == 1


async def test_where_nobody_knows_the_planner_is_told_if_that_is_set() -> None:
    bank = Bank(None)
    end, records = await killed_and_resumed(bank, "agent", "fail")
    told = [record.payload for record in records if record.type == "step.completed"]
    assert [each["error"]["code"] for each in told if "error" in each] == ["AF-OUTCOME-UNKNOWN"]
    assert end == "the end"
    assert len(bank.keys) == 1


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"on_unknown must be one of 'stuck', 'retry', 'fail', not 'guess'"):
        make_agent(TURNS, None, on_unknown="guess")


async def test_a_receiver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentflow_kernel.run.outcome.CHECK_S", 0.01)
    bank = Bank(ToolOutcome("yes"))

    async def hang(*_: Any) -> Any:
        await anyio.sleep_forever()

    bank.toolset.check = hang  # type: ignore[method-assign]
    end, _ = await killed_and_resumed(bank, "flow")
    assert isinstance(end, RunSuspended)
