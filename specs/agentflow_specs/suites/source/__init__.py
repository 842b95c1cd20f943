"""The suite of sources: events and cursors, input of every kind, waiting, cancellation, and the end."""
