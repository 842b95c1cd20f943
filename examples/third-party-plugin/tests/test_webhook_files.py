"""What the kit cannot know: which event a delivery becomes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import anyio
import pytest
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import InputInvalid
from agentflow_kernel.testing import FakeClock

from agentflow_webhook_files.settings import WebhookFilesSettings
from agentflow_webhook_files.source import WebhookFiles

SAMPLE = Path(__file__).parents[1] / "sample"


def read(path: Path, cursor: dict[str, str] | None = None, *, max_bytes: int = 1_000_000) -> list[SourceItem]:
    context = PluginContext("hooks", clock=FakeClock(), random=Random(0), folder=str(path))
    source = WebhookFiles(WebhookFilesSettings(path=".", max_bytes=max_bytes), context)

    async def main() -> list[SourceItem]:
        return [item async for item in source.events(cursor)]

    return anyio.run(main)


def test_a_delivery_becomes_an_event_of_its_kind_and_action() -> None:
    issue, push = (item.event for item in read(SAMPLE))
    assert (issue.type, push.type) == ("com.github.issues.opened", "com.github.push")
    assert issue.source == push.source == "https://github.com/example/example"
    assert push.subject == "push/2026-01-05T09-30-00.json"


def test_a_reading_goes_on_behind_the_last_file() -> None:
    first, second = read(SAMPLE)
    (rest,) = read(SAMPLE, {"after": str(first.event.subject)})
    assert rest.event.id == second.event.id


def test_a_delivery_that_is_too_large_is_named() -> None:
    with pytest.raises(InputInvalid, match=r"issues/2026-01-05T09-00-00\.json.* larger than 20 bytes"):
        read(SAMPLE, max_bytes=20)


@pytest.mark.skipif("AGENTFLOW_TEST_DATA" not in os.environ, reason="AGENTFLOW_TEST_DATA names no real deliveries")
def test_real_deliveries_are_all_told_of() -> None:
    """Those that GitHub sent: each file an event, with a type of its own folder and an id of its own."""
    folder = Path(os.environ["AGENTFLOW_TEST_DATA"], "webhooks")
    items = read(folder)
    kinds = Counter(path.parent.name for path in folder.glob("*/*.json"))
    assert Counter(item.event.type.split(".")[2] for item in items) == kinds
    assert len({item.event.id for item in items}) == sum(kinds.values()) > 50
    assert "com.github.check_run.completed" in {item.event.type for item in items}
