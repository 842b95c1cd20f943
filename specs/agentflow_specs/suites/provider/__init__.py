"""The suite of providers: replies, hostile requests, tools, streams, faults of the far side, and the end."""
