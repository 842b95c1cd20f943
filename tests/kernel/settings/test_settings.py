"""Where agentflow.toml is looked for, what it may say, and what follows from it."""

from __future__ import annotations

import os

import pytest

from agentflow_kernel.errors import UsageError
from agentflow_kernel.settings import Settings, normalise


def test_without_a_file_the_defaults_hold(folder) -> None:
    """Trust is what is installed, no code is allowed, state lies in the working directory."""
    settings = Settings.find()
    assert settings.file is None
    assert settings.trust == "installed"
    assert settings.plugins == {}
    assert settings.code == ()
    assert settings.state_folder() == str(folder / ".agentflow")


def test_the_nearest_file_above_counts(folder, write) -> None:
    """The working directory first, then its parents."""
    outer = write("", folder.parents[1])
    assert Settings.find().file == str(outer)
    inner = write("", folder)
    assert Settings.find().file == str(inner)
    assert Settings.find(str(folder.parent)).file == str(outer)


def test_the_environment_may_name_another_file(folder, write, tmp_path, monkeypatch) -> None:
    """Then no folder is searched; a relative name starts at the working directory."""
    write("")
    other = tmp_path / "other.toml"
    other.write_text("")
    monkeypatch.setenv("AGENTFLOW_CONFIG", str(other))
    assert Settings.find().file == str(other)
    monkeypatch.setenv("AGENTFLOW_CONFIG", os.path.relpath(other, folder))
    assert Settings.find().file == str(other)


def test_a_file_that_the_environment_names_must_exist(folder, tmp_path, monkeypatch) -> None:
    """Falling back would widen trust."""
    monkeypatch.setenv("AGENTFLOW_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(UsageError, match=r"absent\.toml: cannot be read: No such file"):
        Settings.find()


def test_a_broken_link_is_an_error_and_not_no_file(folder) -> None:
    """For the same reason."""
    (folder / "agentflow.toml").symlink_to("absent")
    with pytest.raises(UsageError, match="cannot be read"):
        Settings.find()


def test_a_folder_in_the_place_of_the_file_is_an_error(folder) -> None:
    """It is named."""
    (folder / "agentflow.toml").mkdir()
    with pytest.raises(UsageError, match=r"agentflow\.toml: cannot be read: Is a directory"):
        Settings.find()


def test_a_working_directory_that_is_gone_is_a_usage_error(folder) -> None:
    """Not a FileNotFoundError."""
    folder.rmdir()
    with pytest.raises(UsageError, match="no longer exists"):
        Settings.find()
    with pytest.raises(UsageError, match="no longer exists"):
        Settings().state_folder()


@pytest.mark.parametrize("text", ["a = ", b"\xff = 1", "[plugins\n", "a = 1\na = 2\n", "x = " + "[" * 100_000])
def test_what_is_no_toml_is_a_usage_error(write, text) -> None:
    """It names the file and, where the reader tells, the line."""
    write(text)
    with pytest.raises(UsageError, match=r"agentflow\.toml: is not TOML: "):
        Settings.find()


@pytest.mark.parametrize(
    ("text", "trust"),
    [
        ("", "installed"),
        ("[code]\nallow = []", "installed"),
        ("[plugins]", "listed"),
        ("[plugins.allow]\na = '*'", "listed"),
        ("[plugins]\ntrust = 'listed'", "listed"),
        ("[plugins]\ntrust = 'installed'\n[plugins.allow]\na = '*'", "installed"),
    ],
)
def test_a_table_of_plugins_means_that_they_are_listed(write, text, trust) -> None:
    """Unless it says otherwise."""
    write(text)
    assert Settings.find().trust == trust


def test_rules_are_kept_by_normalised_name(write) -> None:
    """A version range alone, or with the hash."""
    digest = "sha256:" + "0A" * 32
    write(f"[plugins.allow]\nAgentFlow_Tools = '>=1'\n'b.c' = {{ version = '~=1.2', hash = '{digest}' }}\nd = {{}}\n")
    rules = {name: (rule.version, rule.digest) for name, rule in Settings.find().plugins.items()}
    assert rules == {"agentflow-tools": (">=1", ""), "b-c": ("~=1.2", digest.lower()), "d": ("*", "")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[plugin]", "plugin is not a setting. Known: 'plugins', 'code', 'journal', 'runs'. Did you mean 'plugins'?"),
        ("plugins = 1", "plugins must be a table, not a number."),
        ("[[plugins]]", "plugins must be a table, not a list."),
        ("[plugins]\ntrusted = 1", "plugins.trusted is not a setting. Known: 'trust', 'allow'. Did you mean 'trust'?"),
        ("[plugins]\ntrust = true", "plugins.trust must be text, not a boolean."),
        (
            "[plugins]\ntrust = 'instaled'",
            "plugins.trust cannot be 'instaled'. Known: 'installed', 'listed'. Did you mean 'installed'?",
        ),
        ("[plugins]\nallow = ['a']", "plugins.allow must be a table, not a list."),
        (
            "[plugins.allow]\na = 1.0",
            'plugins.allow.a must be a version range such as ">=0.1,<0.2", or a table, not a number.',
        ),
        (
            "[plugins.allow]\na = { versions = '1' }",
            "plugins.allow.a.versions is not a setting. Known: 'version', 'hash'. Did you mean 'version'?",
        ),
        ("[plugins.allow]\na = { version = 1 }", "plugins.allow.a.version must be text, not a number."),
        (
            "[plugins.allow]\na = { hash = 'md5:00' }",
            "plugins.allow.a.hash must be 'sha256:' and 64 hexadecimal digits, not 'md5:00'.",
        ),
        ("[plugins.allow]\na-b = '*'\na_b = '*'", "plugins.allow.a_b stands twice in different spellings."),
        ("code = 2026-01-31", "code must be a table, not a date or time."),
        ("[code]\nallows = []", "code.allows is not a setting. Known: 'allow'. Did you mean 'allow'?"),
        ("[code]\nallow = 'a.py'", "code.allow must be a list of paths, not text."),
        ("[code]\nallow = ['a.py', 1]", "code.allow[1] must be a path, not a number."),
        ("[code]\nallow = ['']", "code.allow[0] must be a path, not text."),
        (
            "[code]\nallow = ['../a.py']",
            "code.allow[0] must be a path below the folder of agentflow.toml, with '/', not '../a.py'.",
        ),
        (
            "[code]\nallow = ['/etc']",
            "code.allow[0] must be a path below the folder of agentflow.toml, with '/', not '/etc'.",
        ),
    ],
)
def test_what_a_file_may_not_say_is_named_by_key_with_a_suggestion(write, text, problem) -> None:
    """Unknown keys and wrong types, with the path of the key."""
    file = write(text)
    with pytest.raises(UsageError) as caught:
        Settings.find()
    assert str(caught.value) == f"{file}: {problem}"


@pytest.mark.parametrize(
    ("entry", "path", "allowed"),
    [
        ("nodes.py", "nodes.py", True),
        ("./nodes.py", "nodes.py", True),
        ("nodes.py", "a/nodes.py", False),
        ("nodes.py", "nodes_py", False),
        ("a", "a/b/nodes.py", True),
        ("a/", "a/nodes.py", True),
        ("a", "ab/nodes.py", False),
        (".", "a/nodes.py", True),
        ("*.py", "nodes.py", True),
        ("*.py", "a/nodes.py", False),
        ("*/nodes.py", "a/nodes.py", True),
        ("*/nodes.py", "nodes.py", False),
        ("*/nodes.py", "a/nodes.py/more.py", False),
        ("**/nodes.py", "nodes.py", True),
        ("**/nodes.py", "a/b/nodes.py", True),
        ("a/**/*.py", "a/nodes.py", True),
        ("a/**/*.py", "a/b/c/nodes.py", True),
        ("a/**", "a/b/c", True),
        ("a/**", "b/c", False),
        ("node[ab].py", "nodeb.py", True),
        ("node?.py", "nodes.py", True),
        ("node?.py", "node/.py", False),
        ("NODES.py", "nodes.py", False),
    ],
)
def test_code_is_allowed_by_file_folder_or_pattern(write, folder, entry, path, allowed) -> None:
    """A star stays within one folder, two cross folders."""
    write(f"[code]\nallow = ['{entry}']")
    assert Settings.find().allows_code(path) == allowed
    assert Settings.find().allows_code(str(folder / path)) == allowed


def test_code_is_relative_to_the_file_and_not_to_the_working_directory(folder, write, monkeypatch) -> None:
    """The same entry means the same file wherever one stands."""
    write("[code]\nallow = ['a/nodes.py']", folder.parents[1])
    settings = Settings.find()
    assert not settings.allows_code("a/nodes.py")
    monkeypatch.chdir(folder.parents[1])
    assert settings.allows_code("a/nodes.py")


def test_no_code_outside_the_folder_is_allowed(folder, write, tmp_path) -> None:
    """Neither by `..` nor through a link in an allowed folder; a link to an allowed file is as good as the file."""
    write("[code]\nallow = ['**']")
    settings = Settings.find()
    outside = tmp_path / "evil.py"
    outside.touch()
    (folder / "link.py").symlink_to(outside)
    (folder / "nodes.py").touch()
    (tmp_path / "good.py").symlink_to(folder / "nodes.py")
    assert not settings.allows_code("../evil.py")
    assert not settings.allows_code(str(outside))
    assert not settings.allows_code("link.py")
    assert settings.allows_code(str(tmp_path / "good.py"))


def test_the_folder_itself_may_be_reached_through_a_link(folder, write, tmp_path) -> None:
    """Both sides are followed."""
    write("[code]\nallow = ['nodes.py']")
    (tmp_path / "link").symlink_to(folder)
    settings = Settings.read(str(tmp_path / "link" / "agentflow.toml"))
    assert settings.allows_code(str(folder / "nodes.py"))


def test_without_a_file_no_code_is_allowed(folder) -> None:
    """And with a file that lists none neither."""
    assert not Settings().allows_code("nodes.py")
    assert not Settings(code=["**"]).allows_code("nodes.py")


def test_the_state_folder_by_order(folder, write, monkeypatch, tmp_path) -> None:
    """Option, environment, beside the file, working directory; always absolute."""
    assert Settings.find().state_folder() == str(folder / ".agentflow")
    write("", folder.parent)
    settings = Settings.find()
    assert settings.state_folder() == str(folder.parent / ".agentflow")
    monkeypatch.setenv("AGENTFLOW_STATE", "state/../elsewhere")
    assert settings.state_folder() == str(folder / "elsewhere")
    assert settings.state_folder("mine") == str(folder / "mine")
    assert settings.state_folder(str(tmp_path)) == str(tmp_path)
    monkeypatch.setenv("AGENTFLOW_STATE", "")
    assert settings.state_folder("") == str(folder.parent / ".agentflow")


@pytest.mark.parametrize("name", ["agentflow-tools", "AgentFlow_Tools", "agentflow.tools", "AGENTFLOW-_.tools"])
def test_spellings_of_a_distribution_are_one_name(name) -> None:
    """As every installer compares them."""
    assert normalise(name) == "agentflow-tools"
