"""Group commit for journals and memories: the tasks of an event loop share what makes their writes durable."""
