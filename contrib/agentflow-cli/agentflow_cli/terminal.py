"""The terminal: the only place that writes, and the rule for what may reach a screen.

Text that others wrote (log lines, model text, plugin metadata) can hold escape sequences that move the cursor, retitle
the window or reorder a line for the eye. What people read is stripped of them; what programs read keeps them, escaped.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from typing import TYPE_CHECKING, Final, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from re import Match

    Colour = Literal["auto", "always", "never"]

# Source: ECMA-48 (control sequences and strings, 7-bit and 8-bit forms); an unfinished string ends with its line.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # titles, links, payloads
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes
)
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # reordering for the eye
    "\u2028\u2029\ufeff\U000e0000-\U000e007f"  # hidden line ends, marks and tags
    "\ud800-\udfff]"  # bytes that were no text
)

DEFAULT_COLUMNS: Final = 80

_colour: Colour = "auto"


def visible(text: str) -> str:
    """The text as it may be shown: no escape sequence, control, reordering or hidden character is left."""
    return _UNSAFE.sub("", _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """The text as it may be shown, on one line."""
    return " ".join(visible(text).split())


def escaped(document: str) -> str:
    r"""A JSON document, or YAML with these characters in double quotes only, with each unsafe one as `\uXXXX`."""
    return _UNSAFE.sub(_escape, document)


def unsafe(text: str) -> bool:
    """Whether `escaped` would change the text."""
    return _UNSAFE.search(text) is not None


def choose_colour(colour: Colour) -> None:
    """Use colours always, never, or where a terminal is (``auto``)."""
    global _colour  # noqa: PLW0603 - one a process, as the terminal is
    _colour = colour


def in_colour(stream: TextIO | None) -> bool:
    """Whether colours are wanted on a stream.

    The option counts first, then `NO_COLOR`, then `FORCE_COLOR` (not `0`), then whether a terminal is there that can.
    Source: no-color.org and force-color.org.
    """
    if stream is None or _colour != "auto":
        return _colour == "always"
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO | None) -> int | None:
    """The cells of a line of the terminal, as `COLUMNS` says or the terminal itself; `None` where there is none."""
    if stream is None or not stream.isatty():
        return None
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS


def pause(seconds: float) -> bool:
    """Wait; returns early, with `False`, when the reader of standard output has gone away."""
    poll = select.poll()
    with contextlib.suppress(OSError, ValueError, AttributeError):  # an in-memory stream, or none
        poll.register(sys.stdout.fileno(), 0)
    gone = poll.poll(seconds * 1000)
    return not any(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, events in gone)


def write(text: str) -> bool:
    """Text to standard output, flushed; a reader that has gone away changes nothing but the result, `False`."""
    return _put(sys.stdout, text)


def say(line: str) -> None:
    """One line to standard error; a reader that has gone away changes nothing."""
    _put(sys.stderr, line + "\n")


def hush(stream: TextIO) -> None:
    """Send what is still written to the stream nowhere, so that the interpreter's last flush is quiet too."""
    try:
        target = stream.fileno()
    except (OSError, ValueError):
        return  # an in-memory stream
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, target)
    os.close(sink)


@contextlib.contextmanager
def answer_only(*, for_people: bool) -> Iterator[None]:
    """Keep standard output free for one document: what code of others prints meanwhile goes to standard error.

    People may see both, so nothing is moved for them.
    """
    if for_people or sys.stdout is None:
        yield
        return
    sys.stdout.flush()
    with _descriptor_moved(sys.stdout), contextlib.redirect_stdout(sys.stderr):  # in this order: both mean this stream
        yield


@contextlib.contextmanager
def _descriptor_moved(stream: TextIO) -> Iterator[None]:
    """Move the stream's descriptor too: child processes and C code know nothing of `sys.stdout`."""
    try:
        target, stand_in = stream.fileno(), sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        yield  # an in-memory stream
        return
    kept = os.dup(target)
    os.dup2(stand_in, target)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # what somebody wrote to the stream itself goes the same way
            stream.flush()
        os.dup2(kept, target)
        os.close(kept)


def prepare() -> None:
    """Make no character an error: what a terminal's encoding cannot show is written as an escape; choose no colour."""
    choose_colour("auto")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _put(stream: TextIO | None, text: str) -> bool:
    if stream is None:
        return False  # closed by the caller
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        hush(stream)
        return False
    return True


def _escape(found: Match[str]) -> str:
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
