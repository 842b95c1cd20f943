"""The suite of policies: what passes unchanged, what is repeated, what is ended in time, cancellation and crowds."""
