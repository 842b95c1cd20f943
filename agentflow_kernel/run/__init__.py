"""The engine room: the only place where an action is executed, journalled, wrapped in policies and reported."""
