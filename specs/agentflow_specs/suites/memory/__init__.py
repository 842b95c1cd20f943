"""The suite of memories: writes, versions, time to live, lists, concurrency, cancellation, the end, and a reference."""
