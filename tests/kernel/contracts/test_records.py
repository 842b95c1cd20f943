"""Records: their bytes are checked on the way back, chained, and folded into the head of their run."""

from __future__ import annotations

import json
import zlib
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel.contracts.journal import (
    RECORD_VERSION,
    TERMINAL,
    Record,
    RecordType,
    RunInfo,
    RunStatus,
    chain_hash,
    decode_record,
    encode_record,
    fold,
)
from agentflow_kernel.errors import CorruptRecord, NewerSchema

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=10,
)
records = st.builds(
    Record,
    run_id=text,
    seq=st.integers(0, 10**9),
    type=st.sampled_from(get_args(RecordType)),
    path=text,
    payload=values,
    epoch=st.integers(1, 10**6),
    attempt=st.integers(1, 9),
    ts=st.floats(0, 1e10),
    ref=text,
    input_hash=text,
    prev_hash=text,
    tenant=text,
)


@given(records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Every field, whatever the text in it."""
    data = encode_record(record)
    assert decode_record(data, run_id=record.run_id, seq=record.seq) == record
    assert encode_record(decode_record(data)) == data


@given(records, st.data())
def test_a_changed_byte_is_noticed(record: Record, draw: st.DataObject) -> None:
    """Anywhere, check sum included; a cut is noticed too."""
    data = bytearray(encode_record(record))
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(CorruptRecord, match="the check sum does not match"):
        decode_record(bytes(data))
    with pytest.raises(CorruptRecord, match="the check sum does not match"):
        decode_record(bytes(data[:place]))


def example(**fields: Any) -> Record:
    return Record("r", 3, "step.completed", "a", {"result": 1}, 1, **fields)


@pytest.mark.parametrize(("run_id", "seq"), [("other", 3), ("r", 4)])
def test_a_record_in_the_wrong_place_is_noticed(run_id: str, seq: int) -> None:
    """Sound bytes of another record are damage as well; the error says where it was found."""
    with pytest.raises(CorruptRecord, match=rf"Run {run_id}, record {seq}: it holds record 3 of run r"):
        decode_record(encode_record(example()), run_id=run_id, seq=seq)


def test_a_newer_record_is_refused_by_name() -> None:
    """It is not guessed what a later version means."""
    body = json.dumps([RECORD_VERSION + 1, "whatever", "comes"]).encode()
    with pytest.raises(NewerSchema, match=f"A journal record has schema version {RECORD_VERSION + 1}"):
        decode_record(b"%08x " % zlib.crc32(body) + body)


def test_the_chain_covers_every_field() -> None:
    """A record that differs in anything has another hash."""
    variants = ({}, {"ts": 1.0}, {"attempt": 2}, {"ref": "x"})
    assert len({chain_hash(encode_record(example(**fields))) for fields in variants}) == 4


def test_the_end_statuses_are_three() -> None:
    """All others can go on."""
    assert set(TERMINAL) == {"completed", "failed", "cancelled"}
    assert set(TERMINAL) < set(get_args(RunStatus))


@pytest.mark.parametrize("kind", [kind for kind in get_args(RecordType) if not kind.startswith(("run.", "lease"))])
def test_records_of_steps_change_only_place_and_time(kind: Any) -> None:
    """Whatever their payload holds."""
    info = RunInfo("r", "flow/f", "running", 1, 3, "me", 1.0, 2.0, "c", "x")
    fold(info, Record("r", 3, kind, "a", {"status": "failed", "name": "other", "owner": "other"}, 2, ts=9.0))
    assert info == RunInfo("r", "flow/f", "running", 2, 4, "me", 1.0, 9.0, "c", "x")


def test_a_lease_clears_why_the_run_had_stopped() -> None:
    """It works again, for its new owner."""
    info = RunInfo("r", "flow/f", "stuck", 1, 3, "me", 1.0, 2.0, "AF-X", "because")
    fold(info, Record("r", 3, "lease", "", {"owner": "other"}, 2, ts=9.0))
    assert (info.status, info.owner, info.code, info.cause) == ("running", "other", "", "")
