"""The tool `list`."""

from __future__ import annotations

import os
import socket

import pytest

from agentflow_kernel.errors import AskModelAgain, ToolFailed

pytestmark = pytest.mark.anyio


async def test_list_gives_names_in_order_with_kind_size_and_time(root, make_desk) -> None:
    """Files have a size, links are not followed, everything else is told apart."""
    (root / "b.log").write_bytes(b"12345")
    (root / "a").mkdir()
    (root / "c").symlink_to("../outside.txt")
    os.mkfifo(root / "d")
    for name in ("a", "b.log", "d"):
        os.utime(root / name, (1_700_000_000, 1_700_000_000))
    answer = await make_desk().call("list")
    link = answer["entries"].pop(2)
    assert (link["name"], link["kind"]) == ("c", "link")
    assert "size_bytes" not in link
    assert answer == {
        "path": ".",
        "entries": [
            {"name": "a", "kind": "folder", "modified": "2023-11-14T22:13:20Z"},
            {"name": "b.log", "kind": "file", "size_bytes": 5, "modified": "2023-11-14T22:13:20Z"},
            {"name": "d", "kind": "other", "modified": "2023-11-14T22:13:20Z"},
        ],
        "total_entries": 4,
        "complete": True,
        "stopped": None,
    }


async def test_list_keeps_names_that_fit_the_pattern(root, make_desk) -> None:
    """A shell pattern on names, capital letters count, hidden names are names."""
    for name in ("a.log", "b.LOG", ".c.log", "d.txt"):
        (root / name).touch()
    answer = await make_desk().call("list", pattern="*.log")
    assert [entry["name"] for entry in answer["entries"]] == [".c.log", "a.log"]
    assert answer["total_entries"] == 2


async def test_list_bounds_the_entries_and_counts_all(root, make_desk) -> None:
    """The first ones by name, whatever the order on the disk; the smaller of what is asked for and allowed."""
    for number in range(50):
        (root / f"{number:02}").touch()
    desk = make_desk(max_entries=5)
    for asked, names in ((3, ["00", "01", "02"]), (40, ["00", "01", "02", "03", "04"])):
        answer = await desk.call("list", max_entries=asked)
        assert [entry["name"] for entry in answer["entries"]] == names
        assert (answer["total_entries"], answer["complete"]) == (50, False)


async def test_list_bounds_the_bytes(root, make_desk) -> None:
    """Long names fill a result sooner."""
    for number in range(40):
        (root / f"{number:02}{'n' * 200}").touch()
    answer = await make_desk(max_bytes=4_096, max_line_chars=100).call("list")
    assert 0 < len(answer["entries"]) < 20
    assert (answer["total_entries"], answer["complete"]) == (40, False)


async def test_list_stops_when_its_time_is_over(root, make_desk, clock) -> None:
    """And says that there may be more."""
    for number in range(600):
        (root / f"{number}").touch()
    clock.step_s = 1.0
    answer = await make_desk(timeout_s=2.5).call("list")
    assert (answer["stopped"], answer["complete"]) == ("time", False)
    assert answer["total_entries"] == 512


async def test_list_shows_names_that_are_no_text(root, make_desk) -> None:
    """As escapes: the result stays valid JSON in UTF-8."""
    (root / os.fsdecode(b"caf\xe9.log")).touch()
    answer = await make_desk().call("list")
    assert answer["entries"][0]["name"] == "caf\\xe9.log"


async def test_list_of_a_time_beyond_the_calendar_has_none(root, make_desk, monkeypatch) -> None:
    """A file system can hold any number."""
    (root / "old").touch()
    monkeypatch.setattr("agentflow_tools._listing.time.gmtime", lambda seconds: (_ for _ in ()).throw(OverflowError))
    answer = await make_desk().call("list")
    assert answer["entries"][0]["modified"] is None


async def test_list_goes_on_where_an_entry_refuses_or_is_gone(root, make_desk, monkeypatch) -> None:
    """Names may be readable while what they name is not; between reading and looking an entry can vanish."""
    for name in ("a", "b", "c"):
        (root / name).touch()
    plain = os.stat

    def moody(path, **options) -> os.stat_result:
        if path == b"a":
            raise PermissionError
        if path == b"b":
            raise FileNotFoundError
        return plain(path, **options)

    monkeypatch.setattr("agentflow_tools._listing.os.stat", moody)
    answer = await make_desk().call("list")
    assert [(entry["name"], entry["kind"]) for entry in answer["entries"]] == [("a", "unreadable"), ("c", "file")]


async def test_list_of_a_file_sends_the_model_to_read(root, make_desk) -> None:
    """The call was wrong; the text says which one is right."""
    (root / "log").touch()
    with pytest.raises(AskModelAgain, match=r"'log' is a file\. Call read"):
        await make_desk().call("list", path="log")


async def test_list_of_a_missing_folder_fails_for_good(root, make_desk) -> None:
    """With the like name of the same folder."""
    (root / "logs").mkdir()
    with pytest.raises(ToolFailed, match=r"Did you mean 'logs'\?"):
        await make_desk().call("list", path="log")


async def test_list_below_the_root_shows_sockets_as_other(root, make_desk, monkeypatch) -> None:
    """They are seen, though nothing can open them."""
    (root / "run").mkdir()
    monkeypatch.chdir(root / "run")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        answer = await make_desk(root="root").call("list", path="run")
    assert [entry["kind"] for entry in answer["entries"]] == ["other"]
