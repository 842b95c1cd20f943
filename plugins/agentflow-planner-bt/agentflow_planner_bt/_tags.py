"""A tag: what a kind of node is called in the XML of BehaviorTree.CPP, and what its ports are called there."""

from __future__ import annotations

from typing import Any

EXPLICIT = ("Action", "Condition", "Control", "Decorator", "SubTree")
"""Elements that name their node in an attribute ``ID``."""

MODIFIERS = {
    "_failureIf": "failure_if",
    "_successIf": "success_if",
    "_skipIf": "skip_if",
    "_while": "while",
    "_onSuccess": "on_success",
    "_onFailure": "on_failure",
    "_onHalted": "on_halted",
    "_post": "post",
}

OWN_NAMES = {"target": "name"}
"""Nodes that BehaviorTree.CPP does not have are elements of our own names, whose ports have our own names too."""

TAGS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "Sequence": ("sequence", {}, {}),
    "AsyncSequence": ("sequence", {}, {"yields": True}),
    "SequenceWithMemory": ("sequence_resume", {}, {}),
    "SequenceStar": ("sequence_resume", {}, {}),
    "ReactiveSequence": ("reactive_sequence", {}, {}),
    "Fallback": ("fallback", {}, {}),
    "AsyncFallback": ("fallback", {}, {"yields": True}),
    "ReactiveFallback": ("reactive_fallback", {}, {}),
    "Parallel": ("parallel", {"success_count": "success", "failure_count": "failure"}, {}),
    "ParallelAll": ("parallel_all", {}, {}),
    "IfThenElse": ("if_then_else", {}, {}),
    "WhileDoElse": ("while_do_else", {}, {}),
    "TryCatch": ("try_catch", {}, {}),
    "Inverter": ("inverter", {}, {}),
    "ForceSuccess": ("force_success", {}, {}),
    "ForceFailure": ("force_failure", {}, {}),
    "Repeat": ("repeat", {"num_cycles": "times"}, {}),
    "RetryUntilSuccessful": ("retry", {"num_attempts": "times"}, {}),
    "KeepRunningUntilFailure": ("keep_running_until_failure", {}, {}),
    "RunOnce": ("run_once", {}, {}),
    "Delay": ("delay", {"delay_msec": "msec"}, {}),
    "Timeout": ("timeout", {}, {}),
    "Precondition": ("precondition", {}, {}),
    "LoopInt": ("for_each", {}, {}),
    "LoopBool": ("for_each", {}, {}),
    "LoopDouble": ("for_each", {}, {}),
    "LoopString": ("for_each", {}, {}),
    "SkipUnlessUpdated": ("skip_unless_updated", {"entry": "key"}, {}),
    "WaitValueUpdate": ("wait_value_update", {"entry": "key"}, {}),
    "AlwaysSuccess": ("always_success", {}, {}),
    "AlwaysFailure": ("always_failure", {}, {}),
    "Script": ("script", {}, {}),
    "ScriptCondition": ("check", {"code": "if"}, {}),
    "SetBlackboard": ("set", {"output_key": "key"}, {}),
    "UnsetBlackboard": ("unset", {}, {}),
    "Sleep": ("sleep", {}, {}),
    "WasEntryUpdated": ("was_updated", {"entry": "key"}, {}),
}
"""Our kind, our names of ports where they differ, and ports that the tag stands for."""
