from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

BAD = {
    "raises": "raise ImportError('no such library')\n",
    "leaves": "raise SystemExit('goodbye')\n",
    "hangs": "import time\nwhile True:\n    time.sleep(0.01)\n",
}


@pytest.fixture
def bad_plugins(tmp_path: Path) -> Path:
    """A folder in which three distributions with broken plugins are installed."""
    folder = tmp_path / "bad"
    for name, code in BAD.items():
        info = folder / f"agentflow_{name}-0.3.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(f"[agentflow.tools]\n{name} = bad_{name}\n", encoding="utf-8")
        (info / "METADATA").write_text(f"Name: agentflow-{name}\nVersion: 0.3\n", encoding="utf-8")
        (folder / f"bad_{name}.py").write_text(code, encoding="utf-8")
    return folder


def checks(answer) -> list[dict[str, str]]:
    return json.loads(answer.out)["checks"]


def test_doctor_finds_nothing_wrong(agentflow, manifest: str) -> None:
    """A sound installation ends with 0; Python, settings, plugins and state folder are named."""
    answer = agentflow("doctor", "-o", "json")
    assert answer.code == 0
    found = checks(answer)
    assert [check["check"] for check in found if check["result"] == "ok"] == ["python", "settings", "plugins", "state"]
    details = {check["check"]: check["detail"] for check in found if check["result"] == "ok"}
    assert details["settings"].endswith("agentflow.toml; trust is installed")
    assert details["plugins"] == "5 of 5 admitted plugins work"
    assert details["state"].endswith(".agentflow is not there yet; the first run makes it")


def test_doctor_is_a_table_for_people(agentflow) -> None:
    """One line for each check."""
    header, *rows = agentflow("doctor").out.splitlines()
    assert header.split() == ["CHECK", "RESULT", "PLUGIN", "DISTRIBUTION", "DETAIL"]
    assert rows[0].startswith("python")


def test_doctor_names_broken_plugins_with_distribution_and_cause(agentflow, plugins: Path, bad_plugins: Path) -> None:
    """Each is tried in a process of its own with a time limit; the others are not affected."""
    names = ",".join(["standin", *BAD])
    answer = agentflow(
        "doctor", "--timeout", "10", "-o", "json", PYTHONPATH=f"{plugins}:{bad_plugins}", AGENTFLOW_PLUGINS=names
    )
    assert answer.code == 1
    assert answer.err == "3 problems found.\n"
    problems = {check["plugin"]: check for check in checks(answer) if check["result"] == "problem"}
    assert set(problems) == {"tool raises", "tool leaves", "tool hangs"}
    assert all(check["version"] == "0.3" for check in problems.values())
    assert problems["tool raises"]["distribution"] == "agentflow-raises"
    assert problems["tool raises"]["detail"].startswith("ImportError at import: no such library")
    assert problems["tool leaves"]["detail"].startswith("SystemExit at import: goodbye")
    assert "10 s" in problems["tool hangs"]["detail"]
    (summary,) = [check for check in checks(answer) if check["check"] == "plugins" and check["result"] == "ok"]
    assert summary["detail"] == "5 of 8 admitted plugins work"


def test_doctor_imports_nothing_where_settings_are_broken(agentflow, workplace: Path) -> None:
    """Who does not know what may be imported imports nothing; the fault in the file is the finding."""
    (workplace / "agentflow.toml").write_text("[plugns]\n", encoding="utf-8")
    answer = agentflow("doctor", "-o", "json")
    assert answer.code == 1
    *_, last = checks(answer)
    assert (last["check"], last["result"]) == ("settings", "problem")
    assert "plugns" in last["detail"]
    assert not [check for check in checks(answer) if check["check"] == "plugins"]


def test_doctor_looks_into_the_journal(agentflow, manifest: str, workplace: Path) -> None:
    """Runs are counted by status; a record that is damaged is a problem, with its run."""
    agentflow("run", "app", "hello")
    agentflow("run", "app", "failing")
    (found,) = [check for check in checks(agentflow("doctor", "-o", "json")) if check["check"] == "journal"]
    assert sorted(found["detail"].split(", ")) == ["1 completed", "1 failed"]
    for file in (workplace / ".agentflow" / "standin-journal").iterdir():
        file.write_bytes(file.read_bytes().replace(b"run.started", b"run.begun..", 1))
    answer = agentflow("doctor", "-o", "json")
    assert answer.code == 1
    assert any("AF-JOURNAL-CORRUPT" in check["detail"] for check in checks(answer) if check["result"] == "problem")


def test_doctor_tells_of_a_state_folder_that_is_none(agentflow, workplace: Path) -> None:
    """A file in its place is a problem."""
    (workplace / "state").touch()
    answer = agentflow("doctor", "--state", "state", "-o", "json")
    assert answer.code == 1
    assert checks(answer)[-1]["detail"].endswith("state is no folder")


def test_version_shows_all_that_takes_part(agentflow) -> None:
    """Command, kernel, Python, and what is installed of the framework."""
    found = json.loads(agentflow("version", "-o", "json").out)
    assert found["agentflow-cli"] == found["distributions"]["agentflow-cli"]
    assert found["agentflow-kernel"] == found["distributions"]["agentflow-kernel"]
    assert found["distributions"]["agentflow-standin"] == "1.2.3"
    rows = [line.split() for line in agentflow("version").out.splitlines()]
    assert rows[1] == ["agentflow-cli", found["agentflow-cli"]]
    assert ["agentflow-standin", "1.2.3"] in rows


def test_doctor_tells_of_a_state_folder_that_cannot_be_made(agentflow, workplace: Path) -> None:
    """A file on the way is a problem before the first run meets it; the examination leaves nothing behind."""
    (workplace / "file").touch()
    answer = agentflow("doctor", "--state", "file/below/state", "-o", "json")
    assert answer.code == 1
    assert "file/below/state is not there and cannot be made: " in checks(answer)[-1]["detail"]
    assert agentflow("doctor", "--state", "new/state").code == 0
    assert [path.name for path in workplace.iterdir()] == ["file"]


def test_doctor_warns_of_a_plugin_name_that_nothing_has(agentflow) -> None:
    """A typing error in `AGENTFLOW_PLUGINS` would keep a plugin out without a word."""
    answer = agentflow("doctor", "-o", "json", AGENTFLOW_PLUGINS="agentflow-standin, standin,standing,")
    assert answer.code == 0
    (warning,) = [check for check in checks(answer) if "AGENTFLOW_PLUGINS names" in check["detail"]]
    assert warning["result"] == "warning"
    assert "'standing'" in warning["detail"]
