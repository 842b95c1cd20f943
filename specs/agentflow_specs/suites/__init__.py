"""The suites: one folder for each kind of plugin, collected when the harness is of that kind."""
