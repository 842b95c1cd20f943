"""A record: the RECORD file of an installed distribution, which lists its files with their hashes.

The digest of a distribution is SHA-256 over the sorted lines of its wheel: those that carry a hash, without what the
installer adds (scripts, its own notes). So it is the same under every installer. It pins what was published; it is no
shield against someone who can write into the environment, for such a one can change the interpreter as well.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_INSTALLER = frozenset(("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"))
_ALGORITHMS = frozenset(("sha256", "sha384", "sha512"))


def record_digest(location: str) -> str:
    """``sha256:…`` for the distribution whose ``.dist-info`` folder is ``location``, as ``[plugins.allow]`` takes it.

    Raises:
        OSError: there is no RECORD, or it cannot be read.
        ValueError: it is damaged.
    """
    from hashlib import sha256  # lazy: 3 ms, only for pinned distributions

    lines = sorted(",".join(line) for line in _lines(location))
    return "sha256:" + sha256("\n".join(lines).encode()).hexdigest()


def differing_file(location: str) -> str | None:
    """The first file of the distribution that is gone or is not the one recorded; ``None`` if all are.

    Raises:
        OSError, ValueError: as for :func:`record_digest`.
    """
    import hashlib  # lazy: 3 ms, only for pinned distributions
    from base64 import urlsafe_b64encode

    base = os.path.dirname(location)
    for path, digest, _ in _lines(location):
        algorithm, _, wanted = digest.partition("=")
        if algorithm not in _ALGORITHMS:
            return path
        try:
            with open(os.path.join(base, path), "rb") as stream:
                found = hashlib.file_digest(stream, algorithm).digest()
        except OSError:
            return path
        if urlsafe_b64encode(found).decode().rstrip("=") != wanted:
            return path
    return None


def holds_module(location: str, module: str) -> bool:
    """Whether the distribution contains a module and an import of it would find that file and no other of its name.

    Raises:
        OSError, ValueError: as for :func:`record_digest`.
    """
    from importlib.util import find_spec  # lazy: 2 ms, only for pinned distributions

    stem = module.replace(".", "/")
    paths = {path for path, _, _ in _lines(location)}
    if not any(path.startswith((f"{stem}.", f"{stem}/__init__.")) for path in paths):
        return False
    top = module.partition(".")[0]
    spec = find_spec(top)  # of a top-level name: imports nothing
    if spec is None or not spec.origin:
        return False
    base = os.path.realpath(os.path.dirname(location))
    return os.path.relpath(os.path.realpath(spec.origin), base).replace(os.sep, "/") in paths


def is_editable(location: str) -> bool:
    """Whether the distribution is a link to a source tree, whose files no RECORD lists."""
    try:
        with open(os.path.join(location, "direct_url.json"), "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # who cannot tell says the less trusting
    import json  # lazy: 10 ms, only for what came from a path or URL

    try:
        return bool(json.loads(content)["dir_info"].get("editable", False))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return b"editable" in content


def _lines(location: str) -> Iterator[list[str]]:
    """Path, hash and size of each file that came in the wheel."""
    import csv  # lazy: 5 ms, only for pinned distributions

    own = os.path.basename(location) + "/"
    with open(os.path.join(location, "RECORD"), encoding="utf-8", newline="") as stream:
        try:
            for line in csv.reader(stream):
                path, digest, _ = line
                of_wheel = digest and not path.startswith(("../", "/")) and "__pycache__/" not in path
                if of_wheel and path.removeprefix(own) not in _BY_INSTALLER:
                    yield line
        except csv.Error as exc:
            raise ValueError(str(exc)) from exc
