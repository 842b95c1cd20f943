"""Opening: a store is looked over before it is used, and what a fault of the disk has left is sorted out."""

from __future__ import annotations

import os
import time

from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import CorruptRecord, NewerSchema, StorageUnavailable, UsageError
from agentflow_leveldb._driver import is_damage, load_driver, to_fault
from agentflow_leveldb._high_water import read_mark, sync_folder
from agentflow_leveldb._layout import (
    HEADS,
    LAST,
    LOST,
    MISSING,
    SCHEMA_VERSION,
    VERSION,
    decode_head,
    decode_number,
    encode_number,
)
from agentflow_leveldb._opened import Opened
from agentflow_leveldb._recount import recount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_leveldb._high_water import Mark


class DamagedStore(Exception):
    """The store has to be counted anew; the message says why."""


def paths(folder: str) -> tuple[str, str]:
    """Where LevelDB and the high-water mark lie in the folder of a store."""
    return os.path.join(folder, "db"), os.path.join(folder, "high-water")


def open_store(folder: str, *, accept_loss: bool) -> Opened:
    """The store in ``folder``, which is made where it is missing; verified, with damaged runs quarantined.

    Raises:
        StorageUnavailable: another journal has it open, the disk does not let it be opened, or records are missing
            that belong to no run that is known.
        NewerSchema: a newer version wrote it.
        UsageError: it is the store of something else.
        Unsupported: plyvel is not installed.
    """
    driver = load_driver()
    path, mark_path = paths(folder)
    try:
        make_folder(folder)
        mark = read_mark(mark_path)
        opened = _open_sound(driver, path, mark)
        try:
            _refuse_loss(opened, folder, accept_loss=accept_loss)
        except BaseException:
            opened.db.close()
            raise
    except OSError as error:
        raise to_fault(error, folder) from error
    except driver.Error as error:
        raise to_fault(error, folder) from error
    return opened


def make_folder(folder: str) -> None:
    """Create the folder with its parents, and make their names durable."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        os.makedirs(path, exist_ok=True)
        sync_folder(os.path.dirname(path))


def _open_sound(driver: Any, path: str, mark: Mark | None) -> Opened:
    """As it is where all is well; else repaired as far as that goes, and counted."""
    try:
        return _look_over(driver, _connect(driver, path), mark)
    except DamagedStore:
        keep_copy(path)
        return recount(driver, _connect(driver, path), mark)
    except driver.Error as error:
        if not is_damage(error):
            raise
    keep_copy(path)
    driver.repair_db(path, paranoid_checks=True)
    return recount(driver, _connect(driver, path), mark)


def _connect(driver: Any, path: str) -> Any:
    return driver.DB(path, create_if_missing=True, paranoid_checks=True)


def _look_over(driver: Any, db: Any, mark: Mark | None) -> Opened:
    """Read what is needed to go on, and see that nothing is missing at the end.

    Raises :class:`DamagedStore`, or what LevelDB raises; the database is then closed.
    """
    try:
        last = _find_last(db, mark)
        opened = Opened(db, last, dict(mark[1]) if mark else {}, driver.Error)
        for key, value in db.iterator(prefix=MISSING, verify_checksums=True):
            opened.quarantine(key[1:].decode(), decode_number(value) or 0)
        for key, value in db.iterator(prefix=HEADS, verify_checksums=True):
            _take_head(opened, key, value)
    except BaseException:
        db.close()
        raise
    return opened


def _find_last(db: Any, mark: Mark | None) -> int:
    """The number of records that were ever appended; none may be missing at the end. A new store gets its schema."""
    data = db.get(VERSION, verify_checksums=True)
    if data is None:
        if any(True for _ in db.iterator(include_value=False)) or (mark is not None and mark[0]):
            if mark is None:
                raise UsageError(
                    "The folder holds a LevelDB store of something else. Name another one in the setting 'path'."
                )
            raise DamagedStore("the schema is missing")
        with db.write_batch(sync=True) as batch:
            batch.put(VERSION, encode_number(SCHEMA_VERSION))
            batch.put(LAST, encode_number(0))
        return 0
    version, last = decode_number(data), decode_number(db.get(LAST, verify_checksums=True))
    if version is None or last is None:
        raise DamagedStore("a number about the store is damaged")
    if version > SCHEMA_VERSION:
        raise NewerSchema("The journal's LevelDB store", version, SCHEMA_VERSION)
    if mark is not None and mark[0] > last:
        raise DamagedStore(f"{mark[0] - last} records are missing at the end")
    return last


def _take_head(opened: Opened, key: bytes, value: bytes) -> None:
    """Remember a run that has not ended; quarantine one that is damaged."""
    try:
        run_id = key[1:].decode()
    except UnicodeDecodeError as error:
        raise DamagedStore("the name of a run is damaged") from error
    if run_id in opened.quarantined:
        return
    try:
        head = decode_head(value, run_id)
        if head.info.status in TERMINAL:
            return
        opened.check_end(head)
    except CorruptRecord as error:
        opened.quarantined[run_id] = (error.seq, error.problem)
    else:
        opened.running[run_id] = head


def _refuse_loss(opened: Opened, folder: str, *, accept_loss: bool) -> None:
    """Raise :class:`StorageUnavailable` while records are missing that nobody has accepted to be lost."""
    lost = decode_number(opened.db.get(LOST)) or 0
    if not lost:
        return
    if accept_loss:
        opened.db.delete(LOST, sync=True)
        return
    raise StorageUnavailable(
        f"Storage {folder!r} has lost {lost} records that were acknowledged, and nobody can say of which runs. "
        "What was there before is kept beside it as 'damaged-…'. Put back a backup, or set 'accept_loss' to go on.",
        executed="no",
    )


def keep_copy(path: str) -> None:
    """Keep the files as they are under another name: LevelDB never changes a file that it has finished."""
    copy = os.path.join(os.path.dirname(path), f"damaged-{time.time_ns()}")
    os.mkdir(copy)
    for name in os.listdir(path):
        if name != "LOCK" and not name.startswith("LOG"):
            source = os.path.join(path, name)
            if os.path.isfile(source):
                os.link(source, os.path.join(copy, name))
