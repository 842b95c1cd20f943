"""Behaviour trees: read from YAML or BehaviorTree.CPP XML, ticked by hand or followed by the engine as planner `bt`."""
