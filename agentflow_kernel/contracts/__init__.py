"""The contracts: one file a kind, each a small Protocol and its data types. Import them from their files."""
