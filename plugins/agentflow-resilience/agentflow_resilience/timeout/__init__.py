"""Timeout: ends a call that has not answered in time."""
