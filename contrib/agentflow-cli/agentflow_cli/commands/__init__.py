"""The commands, one a file; a file is imported when its command is used."""
