"""`lock` pins what is installed, keeps what people wrote, and a changed hash is refused with both hashes."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import tomllib
from typing import TYPE_CHECKING

import pytest

from agentflow_cli.pins import Pin, pinned, replace
from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "a" * 64
PIN = Pin("agentflow-one", "1.0", DIGEST)
LINE = f'{{ version = "==1.0", hash = "{DIGEST}" }}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"[plugins.allow]\nagentflow-one = {LINE}\n"),
        ('[plugins.allow]\nagentflow-one = "*"  # ours\n', f"[plugins.allow]\nagentflow-one = {LINE}  # ours\n"),
        ('[plugins.allow]\n"Agentflow_One" = "*"\n', f'[plugins.allow]\n"Agentflow_One" = {LINE}\n'),
        (
            "# top\n[plugins.allow] # list\nz = \"*\"\n\n[code]\nallow = ['a.py'] # c\n",
            f"# top\n[plugins.allow] # list\nz = \"*\"\nagentflow-one = {LINE}\n\n[code]\nallow = ['a.py'] # c\n",
        ),
        (
            '[plugins.allow]\nagentflow-one = { version = ">=1", hash = "sha256:' + "b" * 64 + '" } # why: "x"\n',
            f'[plugins.allow]\nagentflow-one = {LINE} # why: "x"\n',
        ),
        ('[plugins]\nallow = { agentflow-one = "*" }\n', None),
        ('[plugins]\ntrust = "listed"\nallow.agentflow-one = "*"\n', None),
        ('[plugins.allow.agentflow-one]\nversion = "*"\n', None),
        ("[code]\nallow = [\n[1],\n]\n", f"[code]\nallow = [\n[1],\n]\n\n[plugins.allow]\nagentflow-one = {LINE}\n"),
    ],
)
def test_a_pin_is_written_and_all_else_stays(before: str, after: str | None) -> None:
    """A form that cannot be edited so that the rest says what it said is refused."""
    if after is None:
        with pytest.raises(UsageError, match="has a form that cannot be edited"):
            pinned(before, {"agentflow-one": PIN}, "agentflow.toml")
    else:
        assert pinned(before, {"agentflow-one": PIN}, "agentflow.toml") == after
        assert pinned(after, {"agentflow-one": PIN}, "agentflow.toml") == after


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link stays a link and the mode stays; when the disk is full the old file is there and no draft."""
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    replace(str(link), "new")
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("new", 0o600)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace(str(link), "newer")
    assert real.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["link.toml", "real.toml"]


def hashed(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def site(tmp_path: Path, plugins: Path) -> Path:
    """The stand-in, installed with a RECORD."""
    folder = tmp_path / "site"
    info = folder / "agentflow_standin-1.2.3.dist-info"
    info.mkdir(parents=True)
    for file in (*plugins.glob("*.py"), *(plugins / info.name).iterdir()):
        (folder / file.relative_to(plugins)).write_bytes(file.read_bytes())
    record(folder)
    return folder


def record(folder: Path) -> None:
    """Write the RECORD of what is there now."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    lines = [f"{path},sha256={hashed((folder / path).read_text())}," for path in files if path.name != "RECORD"]
    (folder / "agentflow_standin-1.2.3.dist-info" / "RECORD").write_text("\n".join(lines) + "\n")


def test_lock_pins_what_is_installed_and_a_changed_build_is_refused(agentflow, workplace: Path, site: Path) -> None:
    """The refusal has both hashes, the one found and the one written; `lock` renews it."""
    env = {"PYTHONPATH": str(site), "AGENTFLOW_PLUGINS": "standin"}
    file = workplace / "agentflow.toml"
    file.write_text("# ours\n[code]\nallow = []  # none\n", encoding="utf-8")
    assert agentflow("lock", "--check", "agentflow-standin", **env).code == 1
    assert file.read_text() == "# ours\n[code]\nallow = []  # none\n"
    assert agentflow("lock", "Agentflow_Standin", **env).code == 0
    text = file.read_text()
    assert text.startswith("# ours\n[code]\nallow = []  # none\n")
    old = tomllib.loads(text)["plugins"]["allow"]["agentflow-standin"]["hash"]
    assert agentflow("tools", "cabinet", "--with", "root=x", **env).code == 0
    assert agentflow("lock", "--check", **env).code == 0
    (site / "standin_plugin.py").write_text((site / "standin_plugin.py").read_text() + "# other\n")
    assert "standin_plugin.py is not the file that its hash covers" in agentflow("tools", "cabinet", **env).err
    record(site)
    refused = agentflow("tools", "cabinet", **env)
    assert refused.code == 2
    assert f'but "{old}" is the one of agentflow-standin' in refused.err
    assert refused.err.count("sha256:") == 2
    done = agentflow("lock", "-o", "json", **env)
    results = {one["distribution"]: one["result"] for one in json.loads(done.out)["distributions"]}
    assert results["agentflow-standin"] == "locked"
    assert agentflow("tools", "cabinet", "--with", "root=x", **env).code == 0


def test_lock_adds_nothing_to_a_list_unasked(agentflow, workplace: Path, site: Path) -> None:
    """What is listed and gone stays; what is installed and not listed is named with the command that adds it."""
    env = {"PYTHONPATH": str(site), "AGENTFLOW_PLUGINS": "standin"}
    file = workplace / "agentflow.toml"
    file.write_text('[plugins.allow]\nagentflow-gone = "*"\n', encoding="utf-8")
    answer = agentflow("lock", **env)
    assert answer.code == 0
    assert file.read_text() == '[plugins.allow]\nagentflow-gone = "*"\n'
    assert "to allow it: agentflow lock agentflow-standin" in answer.out
    assert "absent" in answer.out
    assert "agentflow-standin = {" not in file.read_text()
    agentflow("lock", "--all", **env)
    assert "agentflow-standin = {" in file.read_text()


def test_lock_refuses_a_name_that_is_not_there(agentflow) -> None:
    answer = agentflow("lock", "agentflow-standing")
    assert answer.code == 2
    assert "No installed distribution 'agentflow-standing' offers plugins. Did you mean" in answer.err


def test_lock_says_that_a_list_has_no_effect(agentflow, workplace: Path, site: Path) -> None:
    (workplace / "agentflow.toml").write_text('[plugins]\ntrust = "installed"\n', encoding="utf-8")
    answer = agentflow("lock", "agentflow-standin", PYTHONPATH=str(site), AGENTFLOW_PLUGINS="standin")
    assert 'no effect while agentflow.toml says trust = "installed"' in answer.err
