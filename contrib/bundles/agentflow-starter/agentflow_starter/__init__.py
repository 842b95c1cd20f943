"""A bundle without code: installing it brings the command line and the plugins a first agent needs."""
