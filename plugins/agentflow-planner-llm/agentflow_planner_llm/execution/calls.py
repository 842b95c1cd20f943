"""Calls: the action that a step makes of its arguments, and the result that it makes of the answer."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import (
    ExpressionFailed,
    InputInvalid,
    OutputInvalid,
    ProtocolViolation,
    Refused,
    UnknownName,
)
from agentflow_kernel.schema import find_problems, read_strictly, write_compactly
from agentflow_planner_llm._reply import read_reply
from agentflow_planner_llm.execution.state import Fault
from agentflow_planner_llm.execution.values import holds
from agentflow_planner_llm.plan.schemas import arguments_of, result_schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._reply import Reply
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.plan.step import Step

    Object: TypeAlias = Mapping[str, JSON]


def check_call(step: Step, arguments: Object, tools: Mapping[str, Tool]) -> Fault | None:
    """Why a call with these arguments cannot be made, or ``None``."""
    schema: Object | None = arguments_of(step.kind, arguments)
    if step.kind == "tool":
        tool = tools.get(step.name)
        if tool is None:
            return Fault(str(UnknownName("tool", step.name, tools)), UnknownName.code, final=True)
        schema = tool.parameters
    problems = find_problems(cast("JSON", arguments), schema) if schema is not None else []
    if not problems:
        return None
    text = f"Invalid arguments for {step.name or step.kind!r}: {'; '.join(problems)}."
    return Fault(text, InputInvalid.code, final=True)


def make_action(action_id: str, step: Step, arguments: Object) -> Action:
    """The action of a step; a model is asked with its prompt, and what it is given beside it as JSON."""
    if step.kind != "model":
        given = {"input": arguments.get("input")} if step.kind in {"agent", "flow", "plan"} else arguments
        return Action(action_id, step.kind, step.name, {"data": None, **given} if step.kind == "emit" else given)
    messages: list[JSON] = []
    if "system" in arguments:
        messages.append({"role": "system", "text": arguments["system"]})
    messages.append({"role": "user", "text": prompt_of(arguments)})
    schema = arguments.get("output_schema")
    return Action(action_id, "model", "", {"messages": messages, "tools": [], "output_schema": schema})


def prompt_of(arguments: Object) -> str:
    """What a model is asked in a step."""
    text = str(arguments["prompt"])
    return f"{text}\n\n{write_compactly(arguments['with'])}" if "with" in arguments else text


def take_reply(value: JSON) -> Reply | Fault:
    """A model's reply, or why it is none."""
    reply = read_reply(value)
    if reply is None:
        return Fault("The result of the model call has not the form of a model's reply.", ProtocolViolation.code, "yes")
    if reply.stop_reason == "refusal":
        return Fault("The model refused to answer.", Refused.code, "yes", final=True)
    return reply


def answer_of(reply: Reply, schema: JSON) -> tuple[JSON, Fault | None]:
    """The value of a model's answer: its text, or with a schema the JSON in it."""
    if schema is None:
        return reply.text, None
    value, unreadable = read_strictly(reply.text)
    problems = [f"it {unreadable}"] if unreadable else find_problems(value, schema)
    if problems:
        text = f"The model's answer does not fit the output schema: {'; '.join(problems)}."
        return None, Fault(text, OutputInvalid.code, "yes")
    return value, None


def result_of(run: PlanRun, step: Step, value: JSON) -> tuple[JSON, Fault | None]:
    """What the answer to a step's action means as its result; the use of a model is entered."""
    if step.kind != "model":
        return value, None
    reply = take_reply(value)
    if isinstance(reply, Fault):
        run.ledger.unpriced_calls += 1
        return None, reply
    run.ledger.settle(reply.usage)
    return answer_of(reply, step.args.get("output_schema"))


def find_disappointment(run: PlanRun, step: Step, value: JSON) -> Fault | None:
    """Why a result is not what the step was to give, or ``None``."""
    if step.returns is not None:
        problems = find_problems(value, cast("JSON", result_schema(step, run.program.tools)))
        if problems:
            text = f"The result of step {step.id!r} does not fit what it returns: {'; '.join(problems)}."
            return Fault(text, OutputInvalid.code, "yes")
    if step.expect is not None:
        try:
            met = holds(run, step.expect, value)
        except ExpressionFailed as error:
            return Fault(f"Step {step.id!r}: {error}", ExpressionFailed.code, "yes")
        if not met:
            text = f"The result of step {step.id!r} is not what was expected: {step.expect!r} is false."
            return Fault(text, OutputInvalid.code, "yes")
    return None
