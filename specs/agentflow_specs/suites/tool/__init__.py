"""The suite of toolsets: what they offer, calls, failures, hostile arguments, cancellation, and the end."""
