"""The journal, memory and bus that need nothing installed: the embedded default, and the base of the test fakes."""
