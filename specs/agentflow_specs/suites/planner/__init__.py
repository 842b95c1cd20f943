"""The suite of planners: one vocabulary, the same decisions whenever they are asked for, hostile answers."""
