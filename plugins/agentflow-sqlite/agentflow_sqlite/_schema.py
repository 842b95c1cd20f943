"""A schema: the mark by which a file is known as ours, and the steps that lead from each version to the next."""

from __future__ import annotations

from agentflow_kernel.errors import NewerSchema, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


class Schema:
    """The tables of one kind of file. ``steps[n]`` holds the statements that lead from version n to n + 1.

    A released step is never changed: a change is a further step.
    """

    __slots__ = ("noun", "application_id", "steps")

    def __init__(self, noun: str, application_id: int, steps: Sequence[Sequence[str]]) -> None:
        self.noun = noun
        self.application_id = application_id
        self.steps = steps

    @property
    def version(self) -> int:
        """The version that this installation writes."""
        return len(self.steps)

    def find_version(self, connection: sqlite3.Connection, path: str) -> int:
        """The version of the open file, 0 for one without any table. Call it inside a transaction.

        Raises :class:`NewerSchema` for a newer one, :class:`UsageError` for a file of something else.
        """
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if mark == self.application_id:
            if version > self.version:
                raise NewerSchema(f"The {self.noun} file {path!r}", version, self.version)
            return int(version)
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if mark or version or tables:
            raise UsageError(
                f"The file {path!r} belongs to something else: its application id is {mark}, that of a {self.noun} is "
                f"{self.application_id}. Name another file in the setting 'path'."
            )
        return 0

    def migrate(self, connection: sqlite3.Connection, path: str) -> None:
        """Bring the file to :attr:`version` in one transaction; nothing is written where it is there already."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = self.find_version(connection, path)
            for step in self.steps[found:]:
                for statement in step:
                    connection.execute(statement)
            if found < self.version:
                connection.execute(f"PRAGMA application_id = {self.application_id}")
                connection.execute(f"PRAGMA user_version = {self.version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
