"""An ability: what the suite needs of a harness beside a subject, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import AppendsInline, Compacts, Journal, Prunes, SharesRuns, Talliable
    from agentflow_kernel.testing import DamageHarness, Harness, StoreHarness

ABILITIES: Final = {"damage": "the harness can spoil what is stored, so that the suite sees whether that is found"}
"""What a harness of this kind declares beside the capabilities of the contract."""


def store_of(harness: Harness) -> StoreHarness:
    """The harness as one that finds a store again."""
    return cast("StoreHarness", with_members(harness, "place", "attach"))


def damager_of(harness: Harness) -> DamageHarness:
    """The harness as one that spoils what is stored."""
    return cast("DamageHarness", with_members(harness, "damage_record", "damage_blob"))


def inline_of(journal: Journal) -> AppendsInline:
    """The journal as one that appends without an event loop."""
    return cast("AppendsInline", with_members(journal, "append_inline"))


def sharing_of(journal: Journal) -> SharesRuns:
    """The journal as one whose runs are shared by workers on several machines."""
    return cast("SharesRuns", with_members(journal, "leases", "inbox"))


def pruning_of(journal: Journal) -> Prunes:
    """The journal as one whose ended runs can be deleted."""
    return cast("Prunes", with_members(journal, "prune", "collect"))


def compacting_of(journal: Journal) -> Compacts:
    """The journal as one whose long runs can be shortened."""
    return cast("Compacts", with_members(journal, "compact"))


def tally_of(journal: Journal) -> Talliable:
    """The journal as one whose open runs can be counted."""
    return cast("Talliable", with_members(journal, "tally"))
