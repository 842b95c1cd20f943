"""Retry: repeats a failed call that was not executed or is idempotent, after growing random waits."""
