from __future__ import annotations

import asyncio
import json
import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest

from agentflow_cli.advice import Advice
from agentflow_cli.session import Session
from agentflow_cli.shared import Shared
from agentflow_kernel import Progress
from agentflow_kernel.errors import RunFailed, RunSuspended, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

A, B = "0190a3c4-0000-7000-8000-00000000000a", "0190a3c4-0000-7000-8000-00000000000b"


class Handle:
    """A run that has ended as it was made to."""

    def __init__(self, run_id: str, status: str = "completed", error: Exception | None = None) -> None:
        self.run_id, self.name, self.status = run_id, "flow/x", status
        self.steps, self.display, self.folder = 3, None, None
        self._error = error

    async def result(self) -> object:
        if self._error is not None:
            raise self._error
        return {"by": self.run_id[-1]}


class Kernel:
    """A kernel that runs nothing."""

    def __init__(self) -> None:
        self.closed = False
        self.listeners: list[Any] = []
        self.manifest: Any = None
        self.at_work: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.closed = True

    def listen(self, listener: Any) -> None:
        self.listeners.append(listener)

    def tell(self, event: str, run_id: str, /, **fields: object) -> None:
        for listener in self.listeners:
            listener(Progress(event, run_id, 0, "", 0.0, fields))
        if event == "run.started":
            self.at_work.add(run_id)
        elif event.startswith("run."):
            self.at_work.discard(run_id)

    async def origin(self, run_id: str) -> dict[str, Any]:
        return {"manifest": "app.yaml", "environment": {"APP_DAY": "hash", "APP_TOKEN": "hash"}}

    async def idle(self) -> None:
        while self.at_work:
            await anyio.lowlevel.checkpoint()


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Signals as a program at a terminal has them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def session(output: str = "table", state: str | None = None) -> Session:
    shared = Shared()
    shared.output, shared.state, shared.no_progress = output, state, True
    return Session(shared)


def gives(*handles: Handle) -> Any:
    async def begin(kernel: Kernel) -> list[Handle]:
        return list(handles)

    return begin


def test_session_shows_every_run_and_closes_the_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    """Outputs in the order of the handles, one line for each run, exit code 0."""
    kernel = Kernel()
    assert session().carry_out([(kernel, gives(Handle(A), Handle(B)))]) == 0
    captured = capsys.readouterr()
    assert captured.out == "by: a\nby: b\n"
    assert [line.split(" in ")[0] for line in captured.err.splitlines()] == [f"run {A} completed", f"run {B} completed"]
    assert kernel.closed


def test_session_of_one_failed_run_among_others_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """The good output is shown, the failed run is named with its cause and where to look."""
    failed = Handle(B, "failed", RunFailed(B, "AF-X", "no luck"))
    assert session().carry_out([(Kernel(), gives(Handle(A), failed))]) == 1
    captured = capsys.readouterr()
    assert captured.out == "by: a\n"
    assert f"error[AF-X]: Run {B} failed: no luck\n" in captured.err
    assert f"`agentflow describe run {B}` shows its steps." in captured.err
    assert "Go on with" not in captured.err


def test_session_of_a_run_that_stopped_by_itself_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A service that is down suspends a run: that is no success, and the way to go on is printed."""
    stopped = Handle(A, "suspended", RunSuspended(A, "suspended", "the disk is full"))
    assert session(state="my state").carry_out([(Kernel(), gives(stopped))]) == 1
    assert f"Go on with: agentflow resume {A} --state 'my state'\n" in capsys.readouterr().err


def test_session_names_runs_that_an_error_left_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """A source that breaks after its first event: the error decides the code, the run it had started is named."""

    async def begin(kernel: Kernel) -> list[Handle]:
        kernel.tell("run.started", A, name="flow/x")
        kernel.tell("run.started", B, name="flow/x")
        kernel.tell("run.completed", B)
        raise UsageError("the source broke")

    kernel = Kernel()
    assert session().carry_out([(kernel, begin)]) == 2
    captured = capsys.readouterr()
    assert "error[AF-USAGE]: the source broke\n" in captured.err
    assert f"Go on with: agentflow resume {A}\n" in captured.err
    assert f"run {B} completed" in captured.err
    assert kernel.closed


def test_session_without_a_run_has_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    """When nothing could be started, standard output stays empty."""

    async def begin(kernel: Kernel) -> list[Handle]:
        raise UsageError("wrong")

    assert session("json").carry_out([(Kernel(), begin)]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error[AF-USAGE]: wrong\n")


def test_session_waits_for_runs_that_others_have_started(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that an event of the first one started is seen to its end before the kernel is closed."""

    async def begin(kernel: Kernel) -> list[Handle]:
        kernel.tell("run.started", A, name="flow/x")
        kernel.tell("run.started", B, name="flow/y")
        kernel.tell("run.completed", A)

        def later() -> None:
            assert not kernel.closed
            kernel.tell("run.completed", B)

        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, loop.call_soon, later)
        return [Handle(A)]

    assert session("json").carry_out([(Kernel(), begin)]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["run_id"], run["name"], run["status"]) for run in runs] == [
        (A, "flow/x", "completed"),
        (B, "flow/y", "completed"),
    ]


@pytest.mark.blocking(reason="a signal handler writes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_session_that_is_interrupted_begins_nothing_more(
    capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """A signal cancels what is under way; kernels that wait their turn stay closed; 130."""
    begun = []

    async def begin(kernel: Kernel) -> list[Handle]:
        begun.append(kernel)
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()
        return []

    kernel = Kernel()
    assert session().carry_out([(kernel, begin), (Kernel(), begin)]) == 130
    assert begun == [kernel]
    assert kernel.closed
    assert capsys.readouterr().err == "Interrupted; no run was started.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.blocking(reason="a signal handler writes")
def test_session_that_was_done_when_the_signal_came_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    """A signal after the last step changes nothing: all runs are completed."""

    async def begin(kernel: Kernel) -> list[Handle]:
        os.kill(os.getpid(), signal.SIGINT)
        return [Handle(A)]

    assert session().carry_out([(Kernel(), begin)]) == 0
    assert capsys.readouterr().out == "by: a\n"


def test_code_that_exits_does_not_decide_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A node that calls `sys.exit(0)` does not make a command succeed."""

    async def begin(kernel: Kernel) -> list[Handle]:
        raise SystemExit(0)

    assert session().carry_out([(Kernel(), begin)]) == 1
    assert "error[AF-INTERNAL]: SystemExit: 0" in capsys.readouterr().err


def test_output_of_others_does_not_reach_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    """What code in a run prints goes to standard error while a program waits for the document."""

    async def begin(kernel: Kernel) -> list[Handle]:
        print("noise")
        return [Handle(A)]

    assert session("yaml").carry_out([(Kernel(), begin)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("runs:\n")
    assert captured.err.startswith("noise\n")


def tells(*events: tuple[str, str, dict[str, object]]) -> Any:
    """Starts nothing itself; the kernel tells of these."""

    async def begin(kernel: Kernel) -> Sequence[Handle]:
        for name, run_id, fields in events:
            kernel.tell(name, run_id, **fields)
        return []

    return begin


def test_a_failed_run_without_a_handle_fails_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """What an event started counts as much as what the command started."""
    message = f"Run {A} failed at a/b: no: luck [AF-X]"
    begin = tells(("run.started", A, {}), ("run.failed", A, {"code": "AF-X", "message": message}))
    assert session().carry_out([(Kernel(), begin)]) == 1
    assert f"error[AF-X]: Run {A} failed at a/b: no: luck\n" in capsys.readouterr().err


def test_an_event_put_aside_fails_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It belongs to no run, and is said all the same."""
    letter = ("event.dead_lettered", "", {"type": "x.y", "id": "7", "reason": "no\nluck"})
    assert session("json").carry_out([(Kernel(), tells(letter))]) == 1
    assert capsys.readouterr().err == "error[AF-EVENT-DEAD-LETTERED]: Event x.y 7 was put aside: no luck\n"


def test_a_stuck_run_is_not_offered_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    """It would only be stuck again: a person has to look."""
    stuck = Handle(A, "stuck", RunSuspended(A, "stuck", "history and code disagree"))
    left = Handle(B, "suspended", RunSuspended(B, "suspended", "the disk is full"))
    assert session().carry_out([(Kernel(), gives(stuck, left))]) == 1
    err = capsys.readouterr().err
    assert f"Run {A} is stuck: a person has to decide; `agentflow describe run {A}` shows its steps.\n" in err
    assert f"Go on with: agentflow resume {B}\n" in err
    assert err.count("Go on with") == 1


def test_the_way_on_names_what_the_run_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """State folder, manifest where the journal is its own, and variables; no value that may be a secret."""
    monkeypatch.setenv("APP_DAY", "the 3rd")
    monkeypatch.setenv("APP_TOKEN", "secret")
    kernel = Kernel()
    kernel.manifest = SimpleNamespace(of=lambda kind: (kind,))

    async def begin(kernel: Kernel) -> Sequence[Handle]:
        kernel.tell("run.started", A)
        raise UsageError("the source broke")

    assert session(state="there").carry_out([(kernel, begin)]) == 2
    line = f"Go on with: APP_DAY='the 3rd' agentflow resume {A} --state there --file app.yaml\n"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["API_KEY", "A_TOKEN", "SECRET_X", "db_password", "PASSWD", "CREDENTIALS", "A_URL", "DSN"]
)
def test_advice_keeps_secrets(name: str) -> None:
    """The value of a variable with such a name is not printed."""
    assert Advice(None, names=[name]).resume_line([A], {name: "x"}) == f"agentflow resume {A}"


def test_advice_leaves_out_what_is_not_set() -> None:
    """A variable that has its default in the manifest is not made up."""
    advice = Advice(None, names=["ONE", "TWO"])
    assert advice.resume_line([A], {"TWO": ""}) == f"TWO='' agentflow resume {A}"
    assert advice.describe_line(A) == f"agentflow describe run {A}"


@pytest.mark.parametrize(
    ("raised", "code"), [(BaseException("x"), 1), (KeyboardInterrupt(), 130), (GeneratorExit(), 1)]
)
def test_whatever_a_node_raises_has_an_exit_code(
    capsys: pytest.CaptureFixture[str], raised: BaseException, code: int
) -> None:
    """One line without a traceback; an interrupt is one, and the run that it left is named."""

    async def begin(kernel: Kernel) -> Sequence[Handle]:
        kernel.tell("run.started", A)
        raise BaseExceptionGroup("of nodes", [raised])

    assert session().carry_out([(Kernel(), begin)]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.count("error[AF-INTERNAL]") == (code == 1)
    assert f"agentflow resume {A}" in err
