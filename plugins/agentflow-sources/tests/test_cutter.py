"""The cutter: where whole lines end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_sources._cutter import Cutter


def test_cutting_all_begins_with_the_chunks_that_are_full() -> None:
    cutter = Cutter(2, 1000)
    cutter.add(b"a\nb\nc\nd\nhalf")
    assert [cutter.cut_all() for _ in range(3)] == [(b"a\nb\n", 2), (b"c\nd\n", 2), (b"half", 1)]
    assert cutter.holds_nothing


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12).map(lambda piece: piece.replace(b"\x01", b"\n"))), st.integers(1, 4))
def test_chunks_are_what_was_taken_and_never_more_than_they_may_be(pieces: list[bytes], lines: int) -> None:
    """However the bytes come; the count is that of the lines in the chunk."""
    cutter, found = Cutter(lines, 8), []
    for piece in pieces:
        cutter.add(piece)
        while cutter.full:
            found.append(cutter.cut())
    while not cutter.holds_nothing:
        found.append(cutter.cut_all())
    assert b"".join(chunk for chunk, _ in found) == b"".join(pieces)
    for chunk, count in found:
        assert count == chunk.count(b"\n") + (not chunk.endswith(b"\n"))
        assert count <= lines
    for chunk, count in found[:-1]:
        assert count == 1 or len(chunk) <= 8
