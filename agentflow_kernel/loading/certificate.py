"""A certificate: that the conformance kit found one build of a distribution sound, kept in the state folder.

It holds for the files that were tested and no others: with another hash over RECORD, or a file that is not the one
recorded, it is void. It tells a user what was tested; it is no shield against someone who can write into the folder.
"""

from __future__ import annotations

import json
import os

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.loading._record import differing_file, is_editable, record_digest
from agentflow_kernel.settings import normalise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.loading._catalogue import Entry

FOLDER = "certificates"
_FIELDS = ("distribution", "version", "digest", "kit", "at")


class Certificate(Value):
    """What was tested, with what, when, and how it came out.

    ``digest`` is that of :func:`~agentflow_kernel.loading.record_digest`, ``kit`` the version of the kit, ``at`` a date
    (``2026-11-21T12:00:00Z``). ``harnesses`` maps ``<kind>.<plugin>`` to the result of each requirement by its id.
    """

    __slots__ = (*_FIELDS, "harnesses")

    def __init__(
        self,
        distribution: str,
        version: str,
        digest: str,
        *,
        kit: str,
        at: str,
        harnesses: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.distribution = distribution
        self.version = version
        self.digest = digest
        self.kit = kit
        self.at = at
        self.harnesses = harnesses

    @classmethod
    def find(cls, state_folder: str, distribution: str) -> Certificate | None:
        """The certificate of a distribution, or ``None``; a file that cannot be read as one is none."""
        try:
            with open(_path(state_folder, distribution), encoding="utf-8") as stream:
                document = json.load(stream)
            fields = {name: document[name] for name in (*_FIELDS, "harnesses")}
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            return None
        sound = all(isinstance(fields[name], str) for name in _FIELDS) and isinstance(fields["harnesses"], dict)
        return cls(**fields) if sound else None

    def keep(self, state_folder: str) -> str:
        """Write it, in the place of an older one; the path of its file.

        Raises:
            OSError: it cannot be written.
        """
        path = _path(state_folder, self.distribution)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        draft = f"{path}.{os.getpid()}"
        with open(draft, "w", encoding="utf-8") as stream:
            json.dump({name: getattr(self, name) for name in self.__slots__}, stream, indent=2)
            stream.write("\n")
        os.replace(draft, path)
        return path

    def covers(self, entry: Entry) -> bool:
        """Whether the plugin behind an entry was tested: a harness of its kind and name is among those that passed."""
        return f"{entry.kind}.{entry.name}" in self.harnesses

    def void_because(self, entry: Entry) -> str:
        """Why it does not hold for what is installed; ``""`` when it does. Reads every file of the distribution."""
        digest, problem = tested_digest(entry)
        if problem:
            return problem
        if digest != self.digest:
            return f'the hash is "{digest}", the one that was tested is "{self.digest}"'
        return ""


def drop(state_folder: str, distribution: str) -> None:
    """Remove the certificate of a distribution, if there is one."""
    try:
        os.remove(_path(state_folder, distribution))
    except FileNotFoundError:
        return


def tested_digest(entry: Entry) -> tuple[str, str]:
    """The digest that stands for the files behind an entry, and ``""``; or ``""`` and why there is none."""
    if not entry.location or is_editable(entry.location):
        return "", "it is an editable install, whose files change; install a wheel"
    try:
        differing = differing_file(entry.location)
        if differing:
            return "", f"{differing} is not the file that its RECORD lists; reinstall {entry.distribution}"
        return record_digest(entry.location), ""
    except (OSError, ValueError) as exc:
        return "", f"its RECORD cannot be read: {exc}"


def _path(state_folder: str, distribution: str) -> str:
    return os.path.join(state_folder, FOLDER, f"{normalise(distribution)}.json")
