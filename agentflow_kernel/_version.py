"""The version, as a constant so that nobody has to read metadata; a test compares it with the metadata."""

__version__ = "0.1.0"
