"""Blobs: bytes under their hash, for payloads that are too large for a record."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import CorruptRecord
from agentflow_specs.requirement import requirement

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio


def told(data: bytes) -> tuple[int, str, bytes]:
    """Length, hash and beginning: to show how megabytes differ would take minutes."""
    return len(data), sha256(data).hexdigest(), bytes(data[:16])


@requirement(
    "JOURNAL-30",
    "MUST",
    reason="A reference is the hash, so that who reads can check what it gets.",
    advice="The reference is the SHA-256 of the bytes, 64 lower-case hex digits.",
)
@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\xff\xfe text \xc3\x28", bytes(range(256)) * 32], ids=["empty", "nul", "no utf-8", "all"]
)
async def test_a_blob_comes_back_by_its_hash(journal: Journal, data: bytes) -> None:
    """Gives back any bytes, also none, under the SHA-256 that storing them returned."""
    assert await journal.put_blob(data) == sha256(data).hexdigest()
    assert told(await journal.get_blob(sha256(data).hexdigest())) == told(data)


@requirement(
    "JOURNAL-31",
    "MUST",
    reason="A step that is executed again stores its result again.",
    advice="Storing what is there already is no error.",
)
async def test_the_same_bytes_are_one_blob(journal: Journal) -> None:
    """Stores the same bytes as often as it is asked to, under one reference; other bytes are not touched by that."""
    refs = [await journal.put_blob(b"same") for _ in range(3)]
    other = await journal.put_blob(b"other")
    assert len(set(refs)) == 1
    assert (await journal.get_blob(refs[0]), await journal.get_blob(other)) == (b"same", b"other")


@requirement(
    "JOURNAL-32",
    "MUST",
    reason="Results of models and tools are megabytes at times.",
    advice="Nothing but the disk limits the size of a blob; split it where the store needs that.",
)
async def test_a_large_blob_comes_back(journal: Journal) -> None:
    """Stores a blob of 8 MiB."""
    data = b"0123456789abcdef" * (8 * 1024 * 1024 // 16)
    assert told(await journal.get_blob(await journal.put_blob(data))) == told(data)


@requirement(
    "JOURNAL-33",
    "MUST",
    reason="A payload that is gone must not look like an empty one.",
    advice="Raise CorruptRecord; the reference has no form that must be checked before.",
)
@pytest.mark.parametrize("ref", ["0" * 64, "", "../../secret", "'; DROP TABLE blobs; --"])
async def test_a_missing_blob_is_corrupt(journal: Journal, ref: str) -> None:
    """Raises `CorruptRecord` for a reference behind which there is nothing."""
    with pytest.raises(CorruptRecord, match="missing"):
        await journal.get_blob(ref)
    await journal.put_blob(b"one")
    with pytest.raises(CorruptRecord, match="missing"):
        await journal.get_blob(ref)
