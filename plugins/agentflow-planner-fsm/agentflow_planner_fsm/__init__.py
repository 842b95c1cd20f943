"""A planner that follows statecharts: `fsm` runs the chart of a document by the rules of W3C SCXML."""
