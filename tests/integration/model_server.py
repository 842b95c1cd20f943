"""A model on a local socket: speaks both vendors' protocols, and judges suspects by the same rules for both."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio

from agentflow_anthropic import testing as messages
from agentflow_http.testing import Answer, Received, ScriptedServer
from agentflow_openai import testing as chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASSESSMENT = {"severity": "high", "summary": "It guesses.", "advice": "Block it.", "evidence": [1]}


def suspect_in(text: str) -> str:
    """The address that the user's turn asks about."""
    found = re.search(r'"address"\s*:\s*"([^"]+)"', text)
    return found.group(1) if found else ""


def answer_messages(received: Received) -> Answer:
    """The Messages API: one search in the log, then the assessment."""
    asked: Any = received.json()
    turns = asked["messages"]
    address = suspect_in(json.dumps(turns[0], ensure_ascii=False).replace('\\"', '"'))
    if len(turns) == 1 and asked.get("tools"):
        call = {"type": "tool_use", "id": "toolu_1", "name": "logs__search", "input": _search(turns[0], address)}
        return messages.answer("I look.", call, stop_reason="tool_use")
    return messages.answer(json.dumps({"address": address, **ASSESSMENT}))


def answer_chat(received: Received) -> Answer:
    """Chat completions: the same."""
    asked: Any = received.json()
    turns = [turn for turn in asked["messages"] if turn["role"] not in {"system", "developer"}]
    address = suspect_in(json.dumps(turns[0], ensure_ascii=False).replace('\\"', '"'))
    if len(turns) == 1 and asked.get("tools"):
        return chat.streamed(*chat.calls(("call_1", "logs__search", json.dumps(_search(turns[0], address)))))
    return chat.streamed(*chat.says(json.dumps({"address": address, **ASSESSMENT})))


def _search(turn: object, address: str) -> dict[str, Any]:
    """The arguments of the search: the log that the user's turn names."""
    path = re.search(r'"path"\s*:\s*"([^"]+)"', json.dumps(turn, ensure_ascii=False).replace('\\"', '"'))
    return {"path": path.group(1) if path else "", "pattern": address, "max_matches": 5}


@contextmanager
def serving(respond: Callable[[Received], Answer]) -> Iterator[ScriptedServer]:
    """The server in a thread of its own, for tests that start processes."""
    ready, stop, found = threading.Event(), threading.Event(), []

    async def main() -> None:
        async with ScriptedServer(respond) as server:
            found.append(server)
            ready.set()
            await anyio.to_thread.run_sync(stop.wait)

    thread = threading.Thread(target=anyio.run, args=(main,))
    thread.start()
    try:
        assert ready.wait(50)
        yield found[0]
    finally:
        stop.set()
        thread.join()
