"""Planners that ask a language model what to do next: `tools` is the loop of model turns and tool calls."""
