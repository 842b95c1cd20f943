"""The suite of buses: delivery, order, outcomes of handlers, back-pressure, the end, and a reference."""
