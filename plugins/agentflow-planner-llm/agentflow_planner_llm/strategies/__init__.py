"""Strategies: planners that ask a model what is to be done, in other ways than turn by turn."""
