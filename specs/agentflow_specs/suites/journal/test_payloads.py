"""Payloads and names: large ones, empty ones, odd ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES, Record
from agentflow_kernel.errors import AgentFlowError
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio

DEEP: Any = "bottom"
for _ in range(100):
    DEEP = [DEEP]
ODD = {
    "null": None,
    "empty text": "",
    "empty list": [],
    "empty object": {},
    "nul": "a\x00b\x00",
    "control": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\ufeff",
    "bidi": "\u202eevil\u202c \u200b\U000e0041",
    "scripts": "Ελληνικά 中文 العربية हिन्दी 🏳️‍🌈 \U0010ffff \ufffe",
    "quotes": "'; DROP TABLE runs; -- \" \\ %s {0} ${HOME} $(id) %00 <script>",
    "numbers": [0, -1, 2**53 + 1, -(2**63), 2**200, 1e308, 1e-308, 0.1, -0.0],
    "keys": {"": 1, "a.b": 2, "\x00": 3, "__proto__": 4, "č": 5, "c\u030c": 6},
    "deep": DEEP,
}
NAMES = [
    "a", "A", "a ", " a", "a/", "a/b", "a\\b", "a:b", "a%00", "a'b", 'a"b', "a\nb", "..", "../a", "č", "c\u030c", "ａ",
    "0", "00", "1e1", "null", "%", "_", "*", "a" * 512, "😀", "\U0010ffff", "\ufeffa", "\u202ea", "DROP TABLE runs",
]  # fmt: skip


@requirement(
    "JOURNAL-40",
    "MUST",
    reason="Text comes from users, models and web pages; none of it may change, fail or act.",
    advice="Pass bytes or parameters, never text that something interprets.",
)
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_payload_comes_back(journal: Journal, name: str) -> None:
    """Gives back empty, hostile, deep and Unicode payloads, paths and owners unchanged."""
    text = name if not isinstance(ODD[name], str) else ODD[name]
    batch = [
        Record("r", 0, "run.started", text, {"name": text, "owner": text}, 1),
        Record("r", 1, "step.completed", text, {"result": ODD[name]}, 1, input_hash=text),
    ]
    await journal.append("r", 0, 1, batch)
    assert list(await journal.read("r")) == batch
    head = await journal.head("r")
    assert (head.name, head.owner) == (text, text)


@requirement(
    "JOURNAL-41",
    "MUST",
    reason="A run's name may come from a key that a user chose; two runs must never become one.",
    advice="Compare names byte for byte: no folding of case, no normalisation, no trimming, no prefixes.",
)
async def test_names_of_runs_are_never_confused(journal: Journal) -> None:
    """Keeps runs apart whose names differ in case, blanks, form of Unicode or an appendix, and lists each as it is."""
    for number, name in enumerate(NAMES):
        await Author(name, started_at=float(number)).append(journal, *range(number % 3 + 1))
    for number, name in enumerate(NAMES):
        records = await journal.read(name)
        assert {record.run_id for record in records} == {name}
        assert len(records) == (await journal.head(name)).next_seq == number % 3 + 1
    assert [info.run_id for info in await journal.runs()] == NAMES[::-1]


@requirement(
    "JOURNAL-42",
    "SHOULD",
    reason="Some stores end a text at a NUL: the run would then be another one.",
    advice="Store names as bytes, or refuse such a one with a typed error.",
)
async def test_a_name_with_nul_is_itself_or_refused(journal: Journal) -> None:
    """Takes a run whose name holds a NUL for itself, or refuses it with a typed error; never for another one."""
    await Author("a").append(journal, 1, 2)
    try:
        await Author("a\x00b").append(journal)
    except (AgentFlowError, ValueError):
        assert [info.run_id for info in await journal.runs()] == ["a"]
    else:
        assert [record.run_id for record in await journal.read("a\x00b")] == ["a\x00b"]
    assert len(await journal.read("a")) == 2


@requirement(
    "JOURNAL-43",
    "MUST",
    reason="Payloads up to this size are stored inline, by every run that has some.",
    advice="Raise the limit of the column or of the value.",
)
async def test_the_largest_inline_payload_comes_back(journal: Journal) -> None:
    """Stores several records with the largest inline payload in one batch."""
    author = Author("r")
    await author.append(journal)
    batch = await author.append(journal, *("é" * (INLINE_LIMIT_BYTES // 2) for _ in range(8)))
    assert list(await journal.read("r", 1)) == batch


@requirement(
    "JOURNAL-44",
    "MUST",
    reason="A node that works through a thousand items puts them on record at once.",
    advice="Split the statement, never the transaction.",
)
async def test_a_long_batch_is_one_batch(journal: Journal) -> None:
    """Takes 1,000 records in one batch, and all of them are there or none."""
    author = Author("r")
    batch = await author.append(journal, *range(1000))
    assert list(await journal.read("r")) == batch
    assert list(await journal.read("r", 998)) == batch[998:]
