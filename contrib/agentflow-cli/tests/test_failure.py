from __future__ import annotations

import click
import pytest

from agentflow_cli.failure import report
from agentflow_kernel.errors import (
    AgentFlowError,
    CorruptRecord,
    ManifestError,
    ManifestErrors,
    NotAllowed,
    PluginLoadError,
    RunFailed,
    RunSuspended,
    StorageUnavailable,
    UnknownPlugin,
    UnknownRun,
    UntrustedCode,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("no"), 2, "error[AF-USAGE]: no"),
        (UnknownPlugin("provider", "nope", []), 2, "error[AF-PLUGIN-UNKNOWN]: No provider plugin 'nope' is installed."),
        (UntrustedCode("nodes.py"), 2, "error[AF-CODE-UNTRUSTED]: The manifest runs code from 'nodes.py'"),
        (
            PluginLoadError("a", "dist", "1", "why"),
            2,
            "error[AF-PLUGIN-LOAD]: Plugin 'a' of dist 1 cannot be used: why",
        ),
        (NotAllowed("not listed"), 2, "error[AF-NOT-ALLOWED]: not listed"),
        (UnknownRun("x"), 2, "error[AF-RUN-UNKNOWN]: No run 'x' in this journal."),
        (click.UsageError("what?"), 2, "error[AF-USAGE]: what?"),
        (RunFailed("id", "AF-X", "why", "a/b"), 1, "error[AF-X]: Run id failed at a/b: why"),
        (RunSuspended("id", "stuck", "why"), 1, "error[AF-RUN-SUSPENDED]: Run id is stuck: why"),
        (CorruptRecord("id", 3, "why"), 1, "error[AF-JOURNAL-CORRUPT]: Run id, record 3: why."),
        (StorageUnavailable("disk full"), 1, "error[AF-STORAGE-UNAVAILABLE]: disk full"),
        (PermissionError(13, "Permission denied", "x"), 1, "error[AF-IO]: [Errno 13] Permission denied: 'x'"),
        (KeyError("x"), 1, "error[AF-INTERNAL]: KeyError: 'x' (--debug shows where)"),
    ],
)
def test_errors_become_a_line_and_a_code(error: Exception, code: int, line: str, capsys) -> None:
    """What the caller repairs ends with 2, everything else with 1; the line begins with the error's own code."""
    assert report(error, debug=False) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(line)
    assert len(captured.err.splitlines()) == 1


def test_each_finding_has_its_line(capsys) -> None:
    """Ten faults in a manifest are ten lines, each with its place."""
    findings = [ManifestError("bad", file="m.yaml", line=number, column=3, path="spec") for number in range(1, 11)]
    assert report(ManifestErrors(findings), debug=False) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[3] == "error[AF-MANIFEST]: m.yaml:4:3: spec: bad"
    assert len(lines) == 10


def test_errors_side_by_side_are_all_said(capsys) -> None:
    """A group is opened; one error that is not the caller's makes the code 1."""
    group = ExceptionGroup("both", [UsageError("one"), ExceptionGroup("inner", [AgentFlowError("two")])])
    assert report(group, debug=False) == 1
    assert capsys.readouterr().err.splitlines() == ["error[AF-USAGE]: one", "error[AF-ERROR]: two"]


def test_untrusted_text_cannot_write_on_the_terminal(capsys) -> None:
    """An error quotes what others wrote: line breaks and escape sequences are taken out, also under --debug."""
    report(UsageError("what\n\x1b[2J\x1b]0;title\x07 now\u202e"), debug=False)
    assert capsys.readouterr().err == "error[AF-USAGE]: what now\n"
    report(UsageError("what\x1b[2J"), debug=True)
    assert "\x1b" not in capsys.readouterr().err
