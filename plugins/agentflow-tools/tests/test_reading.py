"""The tool `read`."""

from __future__ import annotations

import tracemalloc

import pytest

from agentflow_kernel.errors import AskModelAgain, ToolFailed

pytestmark = pytest.mark.anyio


async def test_read_gives_lines_and_where_to_go_on(root, make_desk) -> None:
    """Pages follow each other without a gap; the last one knows how many lines there are."""
    (root / "log").write_text("".join(f"line {number}\n" for number in range(1, 11)), encoding="utf-8")
    desk = make_desk()
    page = await desk.call("read", path="log", start_line=3, max_lines=4)
    assert page == {
        "path": "log",
        "size_bytes": 71,
        "first_line": 3,
        "last_line": 6,
        "text": "line 3\nline 4\nline 5\nline 6",
        "next_line": 7,
        "total_lines": None,
        "stopped": "max_lines",
        "cut_lines": 0,
        "invalid_utf8": False,
        "binary": False,
    }
    rest = await desk.call("read", path="log", start_line=page["next_line"])
    assert rest["text"] == "line 7\nline 8\nline 9\nline 10"
    assert (rest["next_line"], rest["total_lines"], rest["stopped"]) == (None, 10, None)


async def test_read_ends_exactly_at_the_last_line(root, make_desk) -> None:
    """As many lines as there are is all of them, not a page with more to come."""
    (root / "log").write_bytes(b"a\nb\n")
    page = await make_desk().call("read", path="log", max_lines=2)
    assert (page["text"], page["next_line"], page["total_lines"]) == ("a\nb", None, 2)


@pytest.mark.parametrize(
    ("content", "start", "text", "first"),
    [
        (b"a\nb\nc\n", -1, "c", 3),
        (b"a\nb\nc", -2, "b\nc", 2),
        (b"a\nb\nc", -9, "a\nb\nc", 1),
        (b"", -1, "", 1),
        (b"a\nb\nc", 0, "a\nb\nc", 1),
        (b"a\nb\n", 3, "", 3),
        (b"a\nb", 3, "", 3),
        (b"a\nb", 99, "", 3),
        (b"\n\n\n", 2, "\n", 2),
    ],
)
async def test_read_begins_where_it_is_told(root, make_desk, content, start, text, first) -> None:
    """From the beginning, from the end, and beyond the end, where it says how many lines there are."""
    (root / "log").write_bytes(content)
    page = await make_desk().call("read", path="log", start_line=start)
    assert (page["text"], page["first_line"]) == (text, first)
    assert page["total_lines"] == page["last_line"] == content.count(b"\n") + (content[-1:] not in {b"", b"\n"})


async def test_read_takes_line_ends_of_both_kinds(root, make_desk) -> None:
    """CR LF is one line end; a CR elsewhere is a character."""
    (root / "log").write_bytes(b"one\r\ntwo\nth\rree\r\nfour\r")
    page = await make_desk().call("read", path="log")
    assert page["text"] == "one\ntwo\nth\rree\nfour"
    assert page["total_lines"] == 4


async def test_read_shows_faulty_bytes_and_says_so(root, make_desk) -> None:
    """Bytes that are not UTF-8 become U+FFFD."""
    (root / "log").write_bytes(b"caf\xe9\nok\n")
    page = await make_desk().call("read", path="log")
    assert page["text"] == "caf\ufffd\nok"
    assert (page["invalid_utf8"], page["binary"]) == (True, False)


async def test_read_shows_binary_content_and_says_so(root, make_desk) -> None:
    """NUL becomes U+FFFD too, which every store can hold."""
    (root / "log").write_bytes(b"\x7fELF\0\0\1\n")
    page = await make_desk().call("read", path="log")
    assert page["text"] == "\x7fELF\ufffd\ufffd\1"
    assert page["binary"] is True


async def test_read_cuts_long_lines_and_marks_them(root, make_desk) -> None:
    """By characters, never within one; a line of just the limit is whole."""
    (root / "log").write_text("é" * 80 + "\r\n" + "日" * 81 + "\nshort", encoding="utf-8")
    page = await make_desk(max_line_chars=80).call("read", path="log")
    assert page["text"].split("\n") == ["é" * 80, "日" * 80 + " … [cut: this line has 243 bytes]", "short"]
    assert page["cut_lines"] == 1
    assert page["invalid_utf8"] is False


async def test_read_bounds_the_bytes_of_a_result(root, make_desk) -> None:
    """It stops before the line that would be too much, and goes on with it."""
    (root / "log").write_text("x" * 500 + "\n" + "é" * 400 + "\n" * 20_000, encoding="utf-8")
    desk = make_desk(max_bytes=4_096, max_line_chars=500, max_lines=100_000)
    page = await desk.call("read", path="log", max_lines=100_000)
    assert len(page["text"].encode()) <= 4_096
    assert page["stopped"] == "max_bytes"
    rest = await desk.call("read", path="log", start_line=page["next_line"], max_lines=1)
    assert rest["first_line"] == page["last_line"] + 1


async def test_read_gives_no_more_lines_than_the_settings(root, make_desk) -> None:
    """Whatever the model asks for."""
    (root / "log").write_bytes(b"x\n" * 10)
    page = await make_desk(max_lines=3).call("read", path="log", max_lines=1_000)
    assert page["next_line"] == 4


async def test_read_of_a_ten_megabyte_line_stays_small(root, make_desk) -> None:
    """The line is cut, the one behind it is found, and neither the file nor the line is held."""
    (root / "log").write_bytes(b"first\n" + b"x" * 10_000_000 + b"\nlast\n")
    desk = make_desk()
    await desk.call("read", path="log", max_lines=1)
    tracemalloc.start()
    try:
        page = await desk.call("read", path="log")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    first, long, last = page["text"].split("\n")
    assert (first, last) == ("first", "last")
    assert long == "x" * 1_000 + " … [cut: this line has 10000000 bytes]"
    assert peak < 2_000_000


async def test_read_of_a_huge_file_looks_only_where_it_must(root, make_desk) -> None:
    """The first lines of 64 GiB are there at once."""
    with (root / "log").open("wb") as file:
        file.write(b"one\ntwo\n")
        file.truncate(1 << 36)
    page = await make_desk().call("read", path="log", max_lines=2)
    assert (page["text"], page["next_line"], page["size_bytes"]) == ("one\ntwo", 3, 1 << 36)


async def test_read_stops_when_its_time_is_over(root, make_desk, clock) -> None:
    """With what it has; where the first line was not even found, with nothing."""
    (root / "log").write_bytes(b"line\n" * 500_000)
    clock.step_s = 1.0
    desk = make_desk(timeout_s=3.0, max_lines=100_000, max_bytes=16_777_216)
    page = await desk.call("read", path="log", max_lines=100_000)
    assert (page["stopped"], page["total_lines"]) == ("time", None)
    assert page["next_line"] == page["last_line"] + 1 > 1
    page = await desk.call("read", path="log", start_line=400_000)
    assert (page["stopped"], page["text"], page["next_line"]) == ("time", "", None)


async def test_read_ends_at_the_size_that_the_file_had(root, make_desk, clock) -> None:
    """What is appended while it reads is not part of it."""
    log = root / "log"
    log.write_bytes(b"line\n" * 100_000)

    def grow() -> None:
        with log.open("ab") as file:
            file.write(b"more\n" * 100_000)

    clock.on_look = grow
    page = await make_desk().call("read", path="log", start_line=-1)
    assert (page["text"], page["total_lines"]) == ("line", 100_000)


async def test_read_of_a_file_that_shrinks_ends_early(root, make_desk, clock) -> None:
    """Without an error and without waiting."""
    log = root / "log"
    log.write_bytes(b"line\n" * 100_000)
    clock.on_look = lambda: log.write_bytes(b"short\n")
    page = await make_desk().call("read", path="log")
    assert page["text"] in {"short", ""}


async def test_read_of_a_folder_sends_the_model_to_list(root, make_desk) -> None:
    """The call was wrong; the text says which one is right."""
    (root / "logs").mkdir()
    with pytest.raises(AskModelAgain, match=r"'logs' is a folder\. Call list"):
        await make_desk().call("read", path="logs")


async def test_read_of_a_missing_file_fails_for_good(root, make_desk) -> None:
    """The model sees it as an error of the tool."""
    with pytest.raises(ToolFailed, match=r"no 'log' below the root"):
        await make_desk().call("read", path="log")


@pytest.mark.parametrize("name", ["Größe.log", "日志.log", "e\u0301.log", "\u00e9.log", "🦊", "-rf", "a\nb", " x "])
async def test_read_knows_names_of_every_kind(root, make_desk, name) -> None:
    """Names are bytes to the system: nothing is normalised."""
    (root / name).write_text(name, encoding="utf-8", newline="")
    page = await make_desk().call("read", path=name)
    assert page["path"] == name
    assert page["text"] == name
