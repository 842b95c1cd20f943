"""The example with a model on the wire, over real sockets, in both protocols."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from model_server import answer_chat, answer_messages, serving

from agentflow_http.testing import Answer

if TYPE_CHECKING:
    from agentflow_http.testing import Received

EXAMPLE = Path(__file__).parents[2] / "examples" / "log-triage"
KEY = "sk-made-up-0123456789abcdef"
VENDORS = {
    "anthropic": ("anthropic/sonnet", answer_messages, "ANTHROPIC", ""),
    "openai": ("openai/terra", answer_chat, "OPENAI", "/v1"),
}


def run_example(state: Path, vendor: str, url: str, *words: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    model, _, prefix, path = VENDORS[vendor]
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENAI_", "TRIAGE"))
    }
    env |= {f"{prefix}_BASE_URL": url + path, "NO_COLOR": "1"}
    if key:
        env[f"{prefix}_API_KEY"] = key
    command = [
        sys.executable,
        "-m",
        "agentflow_cli",
        "--state",
        str(state),
        *(words or ("run", str(EXAMPLE), "--model", model)),
    ]
    return subprocess.run(
        command, env=env, cwd=EXAMPLE.parents[1], capture_output=True, text=True, timeout=60, check=False
    )


def report_of(state: Path) -> dict[str, Any]:
    (path,) = state.glob("artifacts/*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


@pytest.mark.timeout(120)
@pytest.mark.parametrize("vendor", VENDORS)
def test_the_assessment_is_written_by_the_model(vendor: str, tmp_path: Path) -> None:
    """The same flow, the same numbers; each suspect is looked up with the tool and judged in a second turn."""
    with serving(VENDORS[vendor][1]) as server:
        done = run_example(tmp_path, vendor, server.url)
        assert done.returncode == 0, done.stderr
    report = report_of(tmp_path)
    assert {suspect["summary"] for suspect in report["attackers"]} == {"It guesses."}
    assert len(server.requests) == 2 * len(report["attackers"])
    results = [
        json.dumps(request.json())
        for request in server.requests
        if b"call_1" in request.body or b"toolu_1" in request.body
    ]
    assert len(results) == len(report["attackers"])
    assert all("sshd" in result for result in results), "what the tool found went back to the model"
    keys = {request.headers.get("idempotency-key") for request in server.requests}
    assert len(keys) == len(server.requests)
    everything = (
        done.stdout
        + done.stderr
        + "".join(path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file())
    )
    assert KEY not in everything


@pytest.mark.timeout(120)
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_key_that_is_refused_leaves_a_run_that_can_be_resumed(vendor: str, tmp_path: Path) -> None:
    """It names the variable and the resource; what was done is not done again."""
    respond, refused = VENDORS[vendor][1], [True]

    def answer(received: Received) -> Answer:
        return (
            Answer(401, {"error": {"message": "bad key", "type": "authentication_error"}})
            if refused
            else respond(received)
        )

    with serving(answer) as server:
        done = run_example(tmp_path, vendor, server.url)
        assert done.returncode == 1
        variable = f"{VENDORS[vendor][2]}_API_KEY"
        assert "AF-CREDENTIAL" in done.stderr
        assert variable in done.stderr
        assert "agentflow" in done.stderr
        assert "resume" in done.stderr
        assert KEY not in done.stderr
        refused.clear()
        again = run_example(tmp_path, vendor, server.url, "resume")
        assert again.returncode == 0, again.stderr
    assert {suspect["summary"] for suspect in report_of(tmp_path)["attackers"]} == {"It guesses."}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("no key", "AF-CREDENTIAL"),
        ("model", "AF-MODEL-UNKNOWN"),
        ("prompt", "AF-PROMPT-TOO-LONG"),
        ("down", "AF-PEER-UNAVAILABLE"),
        ("late", "AF-RATE-LIMITED"),
    ],
)
def test_bad_surroundings_are_typed_and_lose_nothing(vendor: str, problem: str, code: str, tmp_path: Path) -> None:
    """A missing key names the variable, an unknown model lists the aliases, a prompt beyond the window says so."""
    kinds = {
        "anthropic": {
            "model": Answer(404, {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}),
            "prompt": Answer(
                400,
                {
                    "type": "error",
                    "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"},
                },
            ),
        },
        "openai": {
            "model": Answer(
                404, {"error": {"code": "model_not_found", "message": "no such model", "type": "invalid_request_error"}}
            ),
            "prompt": Answer(
                400,
                {"error": {"code": "context_length_exceeded", "message": "too long", "type": "invalid_request_error"}},
            ),
        },
    }
    everywhere = {"down": Answer(503), "late": Answer(429, headers={"retry-after": "86400"})}
    answer = (kinds[vendor] | everywhere).get(problem, Answer(599))
    with serving(lambda received: answer) as server:
        done = run_example(tmp_path, vendor, server.url, key="" if problem == "no key" else KEY)
    assert done.returncode == 1
    assert code in done.stderr, done.stderr
    assert "resume" in done.stderr
    expected = {
        "no key": f"{VENDORS[vendor][2]}_API_KEY",
        "model": "sonnet" if vendor == "anthropic" else "terra",
        "prompt": "context window",
        "down": "503",
        "late": "429",
    }
    assert expected[problem] in done.stderr
