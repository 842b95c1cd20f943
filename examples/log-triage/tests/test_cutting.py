"""The log is cut into batches that cover it, whatever it holds, and only if it is the log that was announced."""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import InputInvalid, StorageUnavailable

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"one\ntwo\r\nthree\n\nfive"


@pytest.fixture(scope="module")
def cutting(module):
    return module("cutting")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIAGE_LOG_ROOT", str(tmp_path))
    path = tmp_path / "auth.log"
    path.write_bytes(TEXT)
    return path


def order(path: Path, *, batch_lines: int = 2, max_batches: int = 64, **facts: object) -> dict[str, object]:
    return {"log": {"path": str(path), **facts}, "batch_lines": batch_lines, "max_batches": max_batches}


def test_split_gives_batches_of_whole_lines(cutting, log: Path) -> None:
    found = cutting.split(order(log))
    assert found["lines"] == 5
    assert found["sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert (found["log"], found["name"]) == ("auth.log", "auth.log")
    pieces = [TEXT[each["offset"] : each["offset"] + each["length"]] for each in found["batches"]]
    assert pieces == [b"one\ntwo\r\n", b"three\n\n", b"five"]
    assert [(each["first_line"], each["lines"]) for each in found["batches"]] == [(1, 2), (3, 2), (5, 1)]


def test_split_takes_larger_batches_when_there_would_be_too_many(cutting, log: Path) -> None:
    log.write_bytes(b"x\n" * 1_000)
    found = cutting.split(order(log, batch_lines=10, max_batches=7))
    assert len(found["batches"]) == 7
    assert found == cutting.split(order(log, batch_lines=10, max_batches=7, lines=1_000))


def test_split_of_an_empty_log_has_no_batches(cutting, log: Path) -> None:
    log.write_bytes(b"")
    found = cutting.split(order(log, size_bytes=0, lines=0, sha256=hashlib.sha256().hexdigest()))
    assert (found["lines"], found["batches"]) == (0, [])


def test_split_leaves_out_what_was_added_after_the_event(cutting, log: Path) -> None:
    facts = {"size_bytes": len(TEXT), "lines": 5, "sha256": hashlib.sha256(TEXT).hexdigest()}
    before = cutting.split(order(log, **facts))
    log.write_bytes(TEXT + b"\nsix\n")
    assert cutting.split(order(log, **facts)) == before


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"one\n", "was 20 bytes long and now has 4"), (TEXT.upper(), "its content is another")],
)
def test_split_refuses_a_log_that_has_changed(cutting, log: Path, content: bytes, match: str) -> None:
    facts = {"size_bytes": len(TEXT), "lines": 5, "sha256": hashlib.sha256(TEXT).hexdigest()}
    log.write_bytes(content)
    with pytest.raises(StorageUnavailable, match=match):
        cutting.split(order(log, **facts))


def test_split_refuses_a_log_outside_the_agents_folder_and_says_what_to_set(
    cutting, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_LOG_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(InputInvalid, match=f"does not lie below .*TRIAGE_LOG_ROOT={tmp_path}"):
        cutting.split(order(log))


def test_split_follows_links_before_it_compares(cutting, log: Path, tmp_path: Path) -> None:
    inside = tmp_path / "logs"
    inside.mkdir()
    (inside / "current").symlink_to(log)
    assert cutting.split(order(inside / "current"))["log"] == "auth.log"


def test_split_finds_the_sample_beside_the_manifest(cutting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIAGE_LOG_ROOT", raising=False)
    monkeypatch.chdir("/")
    found = cutting.split({"log": {"path": "sample.log"}, "batch_lines": 250, "max_batches": 64})
    assert (found["log"], found["lines"]) == ("sample.log", 600)


@pytest.mark.parametrize("value", [None, "auth.log", {}, {"path": 5}])
def test_split_says_what_input_it_expects(cutting, value: object) -> None:
    with pytest.raises(InputInvalid, match="the log's 'path'"):
        cutting.split({"log": value, "batch_lines": 1, "max_batches": 1})


def test_split_names_a_log_that_cannot_be_read(cutting, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIAGE_LOG_ROOT")  # that it is not there matters more than where it is not
    with pytest.raises(StorageUnavailable, match=r"gone\.log.*No such file"):
        cutting.split(order(log.with_name("gone.log")))
    os.mkfifo(log.with_name("pipe"))
    with pytest.raises(StorageUnavailable, match=r"pipe.*not a regular file"):
        cutting.split(order(log.with_name("pipe")))


@settings(deadline=None)
@given(parts=st.lists(st.lists(st.sampled_from([b"\n", b"a", b"\r", b"bc"])).map(b"".join)), size=st.integers(1, 5))
def test_batches_cover_the_log_in_order(cutting, parts: list[bytes], size: int) -> None:
    text = b"".join(parts)
    lines = text.split(b"\n") if not text.endswith(b"\n") else text.split(b"\n")[:-1]
    batches = list(cutting.cut(parts, size))
    assert sum(each["length"] for each in batches) == len(text)
    assert sum(each["lines"] for each in batches) == (len(lines) if text else 0)
    offset, line = 0, 1
    for each in batches:
        piece = text[offset : offset + each["length"]]
        assert (each["offset"], each["first_line"], each["crc32"]) == (offset, line, zlib.crc32(piece))
        assert 1 <= each["lines"] <= size
        offset, line = offset + each["length"], line + each["lines"]
    assert all(each["lines"] == size for each in batches[:-1])


def chunk(path: Path, **facts: object) -> dict[str, object]:
    """A chunk of the log ``auth.log`` that lies elsewhere."""
    spool = path.parent.parent / "chunk"
    spool.write_bytes(TEXT)
    told = {"log": str(path), "first_line": 11, "offset": 200, "generation": 0, **facts}
    return order(spool, batch_lines=2, **told)


@pytest.fixture
def inner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log in the agent's folder, which is not where chunks are."""
    folder = tmp_path / "logs"
    folder.mkdir()
    monkeypatch.setenv("TRIAGE_LOG_ROOT", str(folder))
    return folder / "auth.log"


def test_a_chunk_has_the_lines_of_the_log_it_is_from(cutting, inner: Path) -> None:
    found = cutting.split(chunk(inner))
    assert [each["first_line"] for each in found["batches"]] == [11, 13, 15]
    assert (found["lines"], found["last_line"], found["log"], found["name"]) == (5, 15, "auth.log", "auth.log")
    place = found["chunk"]
    assert (place["start"], place["end"], place["first_line"], place["ends"]) == (10, 15, 11, False)


def test_chunks_of_one_log_belong_together_through_rotations(cutting, inner: Path) -> None:
    states = [
        cutting.split(chunk(path, **facts))["chunk"]["state"]
        for path, facts in [
            (inner, {}),
            (inner, {"first_line": 1}),
            (inner, {"generation": 1}),
            (inner.with_name("b"), {}),
        ]
    ]
    assert states[0] == states[1] == states[2]
    assert len(set(states)) == 2


def test_where_line_numbers_may_be_others_the_agent_looks_into_nothing(cutting, inner: Path) -> None:
    assert cutting.split(chunk(inner, generation=1))["log"] is None
    found = cutting.split(chunk(inner, log="-"))
    assert (found["log"], found["name"]) == (None, "standard input")


def test_a_chunk_of_a_log_outside_the_agents_folder_is_refused(cutting, inner: Path, tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="does not lie below"):
        cutting.split(chunk(inner, log=str(tmp_path / "elsewhere.log")))


def test_without_an_offset_a_chunk_has_its_place_in_lines(cutting, inner: Path) -> None:
    given = chunk(inner)
    del given["log"]["offset"]
    place = cutting.split(given)["chunk"]
    assert (place["start"], place["end"]) == (10, 15)
