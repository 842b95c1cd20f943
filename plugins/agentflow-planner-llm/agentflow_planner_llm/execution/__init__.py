"""Execution: plans followed step by step, as a pure function of what happens."""
