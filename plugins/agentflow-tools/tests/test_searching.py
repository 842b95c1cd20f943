"""The tool `search`."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from agentflow_kernel.errors import AskModelAgain, ToolFailed
from agentflow_tools import _walk
from agentflow_tools._bytes import PIECE_BYTES
from agentflow_tools._searching import MAX_LINE_BYTES

pytestmark = pytest.mark.anyio

LOG = b"".join(
    b"Dec 10 06:55:%02d sshd[%d]: %s\r\n" % (number % 60, number, text)
    for number, text in enumerate([b"Failed password for root", b"Connection closed", b"error: [preauth]"] * 200)
)


def places(answer) -> list[tuple[str, int]]:
    return [(match["path"], match["line"]) for match in answer["matches"]]


async def test_search_gives_line_numbers_and_text(root, make_desk) -> None:
    """Without the line end; `read` finds the same line under the same number."""
    (root / "log").write_bytes(LOG)
    desk = make_desk()
    answer = await desk.call("search", path="log", pattern="Failed password", max_matches=2)
    assert answer == {
        "path": "log",
        "matches": [
            {"path": "log", "line": 1, "text": "Dec 10 06:55:00 sshd[0]: Failed password for root"},
            {"path": "log", "line": 4, "text": "Dec 10 06:55:03 sshd[3]: Failed password for root"},
        ],
        "matching_lines": 200,
        "complete": False,
        "stopped": None,
        "searched_files": 1,
        "searched_bytes": len(LOG),
        "binary_files": 0,
        "skipped": 0,
        "long_lines": 0,
    }
    page = await desk.call("read", path="log", start_line=answer["matches"][1]["line"], max_lines=1)
    assert page["text"] == answer["matches"][1]["text"]


async def test_search_takes_the_pattern_as_it_stands(root, make_desk) -> None:
    """Signs have no meaning unless a regular expression is asked for."""
    (root / "log").write_bytes(b"a.c\nabc\n[x]*\n")
    desk = make_desk()
    assert places(await desk.call("search", pattern="a.c")) == [("log", 1)]
    assert places(await desk.call("search", pattern="a.c", regex=True)) == [("log", 1), ("log", 2)]
    assert places(await desk.call("search", pattern="[x]*")) == [("log", 3)]


@pytest.mark.parametrize(
    ("pattern", "regex", "lines"),
    [
        ("error", False, [2, 4]),
        ("ERROR", False, [2, 4]),
        ("größe", False, [3]),
        ("err.r", True, [2, 4]),
        ("[e]RROR", True, [2, 4]),
        ("k", False, [5]),
        ("[k]", True, [5]),
        ("^[^k]$", True, [1, 6]),
    ],
)
async def test_search_can_ignore_case(root, make_desk, pattern, regex, lines) -> None:
    """In all alphabets; the KELVIN SIGN of line 6 is no k, though Unicode folds it to one."""
    (root / "log").write_text("x\nError\nGRÖẞE GRÖSSE GRÖßE größe\nERROR\nK\n\u212a\n", encoding="utf-8")
    answer = await make_desk().call("search", path="log", pattern=pattern, regex=regex, ignore_case=True)
    assert [line for _, line in places(answer)] == lines


async def test_search_regex_understands_a_leading_flag(root, make_desk) -> None:
    """Many write case-insensitivity into the expression."""
    (root / "log").write_bytes(b"ERROR\n")
    assert places(await make_desk().call("search", pattern="(?i)error", regex=True)) == [("log", 1)]


async def test_search_places_hold_at_line_ends_with_cr(root, make_desk) -> None:
    """`$` stands before the CR of a line end."""
    (root / "log").write_bytes(b"root\r\nroot \r\nxroot")
    assert [line for _, line in places(await make_desk().call("search", pattern="^root$", regex=True))] == [1]
    assert [line for _, line in places(await make_desk().call("search", pattern="root$", regex=True))] == [1, 3]


async def test_search_looks_through_folders_in_order(root, make_desk) -> None:
    """All below the folder, by name, no links, no pipes, only names that fit."""
    for path in ("b/2.log", "a.log", "b/1.log", "b/c/3.log", "b/note.txt"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"needle\n")
    (root / "b/link.log").symlink_to("1.log")
    (root / "b/loop").symlink_to("..")
    (root / "out").symlink_to("..")
    os.mkfifo(root / "b/pipe.log")
    desk = make_desk()
    answer = await desk.call("search", pattern="needle", files="*.log")
    assert places(answer) == [("a.log", 1), ("b/1.log", 1), ("b/2.log", 1), ("b/c/3.log", 1)]
    assert (answer["searched_files"], answer["skipped"], answer["complete"]) == (4, 0, True)
    answer = await desk.call("search", path="b/c", pattern="needle")
    assert places(answer) == [("b/c/3.log", 1)]


async def test_search_leaves_binary_files_out_of_folders(root, make_desk) -> None:
    """They are counted; one that is named is searched."""
    (root / "blob").write_bytes(b"\0\1needle\n")
    desk = make_desk()
    answer = await desk.call("search", pattern="needle")
    assert (answer["matching_lines"], answer["binary_files"]) == (0, 1)
    answer = await desk.call("search", path="blob", pattern="needle")
    assert answer["matches"] == [{"path": "blob", "line": 1, "text": "\ufffd\1needle"}]


async def test_search_counts_what_it_cannot_open(root, make_desk, monkeypatch) -> None:
    """A file without permission does not end the search."""
    (root / "a").write_bytes(b"needle")
    (root / "b").write_bytes(b"needle")
    plain = os.open

    def denying(path, flags, **options) -> int:
        if path == b"a":
            raise PermissionError
        return plain(path, flags, **options)

    monkeypatch.setattr("agentflow_tools._walk.os.open", denying)
    answer = await make_desk().call("search", pattern="needle")
    assert (places(answer), answer["skipped"]) == ([("b", 1)], 1)


async def test_search_goes_only_so_deep(root, make_desk, monkeypatch) -> None:
    """Deeper folders are counted as left out; each level holds a descriptor."""
    monkeypatch.setattr(_walk, "_MAX_DEPTH", 3)
    (root / "1/2/3").mkdir(parents=True)
    for folder in (".", "1", "1/2", "1/2/3"):
        (root / folder / "f").write_bytes(b"needle")
    answer = await make_desk().call("search", pattern="needle")
    assert sorted(places(answer)) == [("1/2/f", 1), ("1/f", 1), ("f", 1)]
    assert answer["skipped"] == 1


async def test_search_bounds_the_matches_and_counts_all(root, make_desk) -> None:
    """The smaller of what is asked for and allowed."""
    (root / "log").write_bytes(LOG)
    answer = await make_desk(max_matches=3).call("search", pattern="sshd", max_matches=500)
    assert (len(answer["matches"]), answer["matching_lines"], answer["complete"]) == (3, 600, False)


async def test_search_bounds_the_bytes_of_a_result(root, make_desk) -> None:
    """Matches come in order without a gap; what does not fit is only counted."""
    (root / "log").write_bytes(b"".join(b"needle %s\n" % (b"x" * (900 if n == 5 else 300)) for n in range(60)))
    answer = await make_desk(max_bytes=4_096, max_line_chars=1_000).call("search", pattern="needle", max_matches=100)
    numbers = [line for _, line in places(answer)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 5 < len(numbers) < 13
    assert (answer["matching_lines"], answer["complete"]) == (60, False)


async def test_search_bounds_the_bytes_read(root, make_desk) -> None:
    """It says why it ended."""
    for name in ("a", "b", "c"):
        (root / name).write_bytes(b"needle\n" * 1_000)
    answer = await make_desk(max_search_bytes=10_000).call("search", pattern="needle")
    assert (answer["stopped"], answer["matching_lines"], answer["complete"]) == ("max_search_bytes", 1_000, False)


async def test_search_stops_when_its_time_is_over(root, make_desk, clock) -> None:
    """With the matches so far; between files, within a file and while a pattern is learnt."""
    for name in ("a", "b", "c"):
        (root / name).write_bytes(b"needle\n")
    clock.step_s = 1.0
    desk = make_desk(timeout_s=6.5)
    answer = await desk.call("search", pattern="needle")
    assert (answer["stopped"], answer["complete"]) == ("time", False)
    assert 0 < answer["matching_lines"] < 3
    answer = await desk.call("search", path="a", pattern="needlex|n", regex=True)
    assert answer["stopped"] is None
    answer = await desk.call("search", path="a", pattern="abcdefgh|needle!", regex=True)
    assert answer["stopped"] == "time"


async def test_search_of_a_ten_megabyte_line_stays_small(root, make_desk) -> None:
    """It looks into the first MiB of the line, says that it did not see all, and goes on behind it."""
    (root / "log").write_bytes(b"needle " + b"x" * 10_000_000 + b"needle\nneedle\n")
    desk = make_desk()
    await desk.call("search", pattern="nothing")
    tracemalloc.start()
    try:
        answer = await desk.call("search", pattern="needle")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert places(answer) == [("log", 1), ("log", 2)]
    assert (answer["long_lines"], answer["complete"]) == (1, False)
    assert peak < 8_000_000


async def test_search_joins_nothing_across_a_part_it_left_out(root, make_desk) -> None:
    """The end of a long line does not stand behind its beginning."""
    limit = MAX_LINE_BYTES
    (root / "log").write_bytes(b"y" * (limit - 4) + b"need" + b"z" * (12 * PIECE_BYTES) + b"le\nneedle\n")
    assert places(await make_desk().call("search", pattern="needle")) == [("log", 2)]


async def test_search_shows_the_part_of_a_long_line_that_matches(root, make_desk) -> None:
    """The match is in sight, and both cuts are marked."""
    (root / "log").write_text("é" * 5_000 + "needle" + "é" * 5_000 + "\n", encoding="utf-8")
    for pattern, regex in (("needle", False), ("ne+dle", True)):
        answer = await make_desk(max_line_chars=100).call("search", pattern=pattern, regex=regex)
        text = answer["matches"][0]["text"]
        assert text.startswith("… é")
        assert "needle" in text
        assert text.endswith(" … [cut: this line has 20006 bytes]")
    (root / "log").write_text("x" * 500 + "needle", encoding="utf-8")
    answer = await make_desk(max_line_chars=100).call("search", pattern="needle")
    assert answer["matches"][0]["text"] == "… " + "x" * 94 + "needle"


async def test_search_finds_lines_over_the_edges_of_pieces(root, make_desk, monkeypatch) -> None:
    """However the file is cut for reading, numbers and texts are the same."""
    lines = [f"{number} {'x' * (number % 40)} {'needle' if number % 7 == 0 else ''}" for number in range(1, 400)]
    (root / "log").write_text("\n".join(lines), encoding="utf-8")
    expected = [(number, lines[number - 1]) for number in range(7, 400, 7)]
    for size in (1, 2, 3, 17, 64, 1_000):
        monkeypatch.setattr("agentflow_tools._bytes.PIECE_BYTES", size)
        answer = await make_desk().call("search", pattern="needle", max_matches=100)
        assert [(match["line"], match["text"]) for match in answer["matches"]] == expected


async def test_search_finds_faulty_text(root, make_desk) -> None:
    """U+FFFD stands for bytes that are not UTF-8, in the pattern too."""
    (root / "log").write_bytes(b"ok\ncaf\xe9\n")
    assert places(await make_desk().call("search", pattern="caf\ufffd")) == [("log", 2)]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("", "1 to 1000 characters"), ("x" * 1_001, "has 1001"), ("a\nb", "line break"), ("\ud800", "not valid Unicode")],
)
async def test_search_sends_back_a_wrong_pattern(root, make_desk, pattern, reason) -> None:
    """The model may correct itself."""
    with pytest.raises(AskModelAgain, match=reason):
        await make_desk().call("search", pattern=pattern)


async def test_search_in_a_missing_file_fails_for_good(root, make_desk) -> None:
    """As for `read`."""
    with pytest.raises(ToolFailed, match="no 'log' below the root"):
        await make_desk().call("search", path="log", pattern="x")
