"""Schemas: values checked against the part of JSON Schema 2020-12 that tools, flows and models are described with."""

from __future__ import annotations

from agentflow_kernel.schema._check import find_problems
from agentflow_kernel.schema._values import read_strictly, same, write_compactly

__all__ = ("find_problems", "read_strictly", "same", "write_compactly")
