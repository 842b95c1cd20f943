"""The suite of journals: appends, fencing, heads, blobs, concurrency, cancellation, the end, and what outlives it."""
