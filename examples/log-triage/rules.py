"""A model made of rules: asks the tools like any other and writes its assessment from what they find."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall
from agentflow_kernel.errors import PeerUnavailable, ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.provider import ModelRequest

LEVELS: Final = ("low", "medium", "high", "critical")
MATCHES: Final = 40
"""How many lines it asks the search for."""

SIGNS: Final = (
    ("POSSIBLE BREAK-IN ATTEMPT", "its host name does not map back to it"),
    ("Invalid user ", "it asked for users that do not exist"),
    ("Did not receive identification", "it connected without speaking SSH"),
    ("Too many authentication failures", "it was cut off after too many tries"),
    ("Auth fail", "its client gave up by itself"),
)
"""Words in a line of the log that mentions the address, and what they say about it."""


class RulesProvider:
    """Assesses one suspect in two turns: one search in the log, then the verdict. The same input, the same words.

    Settings: ``medium`` and ``high``, the numbers of failed passwords from which an address is of that severity.
    """

    def __init__(self, settings: Mapping[str, Any], context: PluginContext) -> None:
        self._medium = int(settings.get("medium", 5))
        self._high = int(settings.get("high", 20))
        self._closed = False

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The next turn: a search while none has been made and one is on offer, else the assessment."""
        if self._closed:
            raise PeerUnavailable("The rules were closed.", executed="no")
        task = task_of(request.messages)
        search = next((tool for tool in request.tools if tool.name.endswith("search")), None)
        found = next((message for message in reversed(request.messages) if message.role == "tool"), None)
        if found is None and search is not None and task["log"]["path"] is not None:
            call = ToolCall("search-1", search.name, arguments_of(task))
            text = f"I look for {task['suspect']['address']} in {task['log']['path']}."
            return ModelReply(Message("assistant", text, calls=[call]), stop_reason="tool_calls", model="rules")
        verdict = self.assess(task, found)
        return ModelReply(Message("assistant", json.dumps(verdict, ensure_ascii=False)), model="rules")

    async def aclose(self) -> None:
        """Nothing is held; later calls are refused."""
        self._closed = True

    def assess(self, task: Mapping[str, Any], found: Message | None) -> dict[str, Any]:
        """The verdict on a suspect, given what the search found."""
        suspect = task["suspect"]
        lines, problem = lines_of(found, suspect["address"], task["log"]["lines"])
        logins = suspect["logins"]
        level = self.level(suspect)
        passwords, users = counted(suspect["failed_passwords"], "password"), counted(suspect["user_count"], "user name")
        sentences = [f"{suspect['address']} failed {passwords} for {users} ({names(suspect)}) {period(suspect)}."]
        if logins["count"]:
            accounts = ", ".join(map(repr, logins["users"]))
            sentences.append(f"Then it got in {counted(logins['count'], 'time')}, as {accounts}.")
        signs = [meaning for words, meaning in SIGNS if any(words in text for _, text in lines)]
        if signs:
            sentences.append(f"The log also says: {'; '.join(signs)}.")
        if suspect["seen_before"]:
            sentences.append(f"It was met in {counted(suspect['seen_before']['runs'], 'earlier run')}.")
        if problem:
            sentences.append(problem)
        evidence = sorted({*suspect["lines"], *logins["lines"], *(number for number, _ in lines[:3])})
        return {
            "address": suspect["address"],
            "severity": LEVELS[level],
            "summary": " ".join(sentences),
            "advice": advice(level, bool(logins["count"])),
            "evidence": evidence,
        }

    def level(self, suspect: Mapping[str, Any]) -> int:
        """The severity as an index into ``LEVELS``."""
        failed = suspect["failed_passwords"]
        level = int(failed >= self._medium) + int(failed >= self._high)
        if level < 2 and (suspect["user_count"] >= self._medium or suspect["seen_before"]):
            level += 1
        logins = suspect["logins"]["count"]
        if logins:
            # few failures, or fewer than logins, may be an owner mistyping; many before a login are a password found
            level = 3 if failed >= max(self._medium, logins) else max(level, 1)
        return level


def task_of(messages: Sequence[Message]) -> dict[str, Any]:
    """The suspect and the log from the user's turn, which holds them as a JSON object."""
    for message in reversed(messages):
        start = message.text.find("{")
        if message.role == "user" and start >= 0:
            task, _ = json.JSONDecoder().raw_decode(message.text, start)
            if isinstance(task, dict) and "suspect" in task and "log" in task:
                return task
    raise ProtocolViolation("The rules need a user's turn: a JSON object with 'log' and 'suspect'.", executed="no")


def arguments_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one search for the suspect's address."""
    return {"path": task["log"]["path"], "pattern": task["suspect"]["address"], "max_matches": MATCHES}


def lines_of(message: Message | None, address: str, count: int) -> tuple[list[tuple[int, str]], str]:
    """Number and text of the lines found, and what was wrong with the search.

    Left out are lines that speak of a longer address which holds this one, and those beyond the ``count`` that count.
    """
    if message is None:
        return [], ""
    if message.is_error:
        return [], f"The log could not be searched: {message.text}"
    whole = re.compile(rf"(?<![0-9A-Za-z.:-]){re.escape(address)}(?![0-9A-Za-z:-]|\.[0-9A-Za-z])")
    try:
        found = json.loads(message.text)
    except ValueError:  # a result too long for a model is cut off; what was parsed from the log has to do
        return [], "The log says more of it than the search could show."
    matches = [(match["line"], match["text"]) for match in found["matches"]]
    return [(line, text) for line, text in matches if line <= count and whole.search(text)], ""


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def names(suspect: Mapping[str, Any]) -> str:
    """The first few names tried, quoted, since they come from the other side."""
    shown = ", ".join(map(repr, suspect["users"][:5]))
    return f"{shown}, …" if suspect["user_count"] > 5 else shown


def period(suspect: Mapping[str, Any]) -> str:
    """When it happened, in the log's own words."""
    first, last = suspect["first"], suspect["last"]
    return f"at {first}" if first == last else f"between {first} and {last}"


def advice(level: int, got_in: bool) -> str:  # noqa: FBT001 -- a fact of the case, not a switch
    """What to do about it."""
    if got_in and level == 3:
        return "Treat the account as taken: lock it, end its sessions, and look at what was done after the login."
    if got_in:
        return "Ask the owner of the account whether the failures were their own."
    return ("Nothing to do.", "Keep an eye on it.", "Block the address.", "Block the address at once.")[level]
