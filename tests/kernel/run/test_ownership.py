"""Ownership: a lock that ends with its process, however that ends, and that nobody else can take away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.run.ownership import Owner, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = """
import sys
from agentflow_kernel.run.ownership import Owner
owner = Owner(sys.argv[1])
print(owner.acquire(), flush=True)
sys.stdin.readline()
"""
FORK = "import os\nif os.fork() == 0: sys.stdin.readline()\nelse: os._exit(0)"
OWN_AND_FORK = OWN.replace("sys.stdin.readline()", FORK)
COME_AND_GO = """
import os
from agentflow_kernel.run.ownership import Owner
for _ in range(60):
    owner = Owner(sys.argv[1])
    name = owner.acquire()
    assert os.path.exists(os.path.join(sys.argv[1], "owners", name)), name
    owner.release()
"""


class Child:
    """A process that owns runs until it is killed."""

    def __init__(self, state: Path, code: str = OWN) -> None:
        paths = f"import sys; sys.path[:0] = {sys.path!r}\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", paths + code, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.name = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """An owner in another process."""
    made = Child(tmp_path)
    yield made
    made.close()


def test_an_owner_that_comes_in_another_thread_takes_no_lock_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the system the lock of a process is its own in all of its threads: closing the file would free it."""
    first, second, exists = Owner(str(tmp_path)), Owner(str(tmp_path)), os.path.exists

    def come_between(path: str) -> bool:
        if os.path.isfile(path):
            monkeypatch.undo()
            second.acquire()
            return True
        return exists(path)

    monkeypatch.setattr(os.path, "exists", come_between)
    names = {first.acquire(), second.name}
    assert set(os.listdir(tmp_path / "owners")) == names
    first.release()
    second.release()


def test_an_owner_is_alive_until_it_releases(tmp_path: Path) -> None:
    """Its name begins with the process id; releasing twice does no harm."""
    owner = Owner(str(tmp_path))
    name = owner.acquire()
    assert name.startswith(f"{os.getpid()}-")
    assert is_alive(str(tmp_path), name)
    owner.release()
    owner.release()
    assert not is_alive(str(tmp_path), name)
    assert os.listdir(tmp_path / "owners") == []


def test_looking_at_our_own_lock_does_not_free_it(tmp_path: Path) -> None:
    """Closing any descriptor of a file frees the locks of the whole process on it."""
    owner = Owner(str(tmp_path))
    name = owner.acquire()
    for _ in range(3):
        assert is_alive(str(tmp_path), name)
    ask = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom agentflow_kernel.run.ownership import is_alive\n"
        "print(is_alive(sys.argv[1], sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, str(tmp_path), name], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout == "True\n"
    owner.release()


def test_two_owners_of_one_process_are_apart(tmp_path: Path) -> None:
    """Each kernel is an owner of its own."""
    one, other = Owner(str(tmp_path)), Owner(str(tmp_path))
    names = [one.acquire(), other.acquire()]
    one.release()
    assert [is_alive(str(tmp_path), name) for name in names] == [False, True]
    other.release()


def test_a_process_that_lives_keeps_its_lock(tmp_path: Path, child: Child) -> None:
    """However often others look, and although they clear away what was left behind."""
    for _ in range(3):
        owner = Owner(str(tmp_path))
        owner.acquire()
        assert is_alive(str(tmp_path), child.name)
        owner.release()


def test_a_killed_process_is_not_alive_and_its_file_is_cleared_away(tmp_path: Path, child: Child) -> None:
    """The operating system frees the lock; the next owner removes the file."""
    child.kill()
    assert not is_alive(str(tmp_path), child.name)
    owner = Owner(str(tmp_path))
    owner.acquire()
    assert os.listdir(tmp_path / "owners") == [owner.name]
    owner.release()


def test_a_child_left_behind_does_not_keep_the_lock(tmp_path: Path) -> None:
    """The owner has ended although something it started goes on."""
    child = Child(tmp_path, OWN_AND_FORK)
    child.process.wait()
    try:
        assert not is_alive(str(tmp_path), child.name)
    finally:
        child.close()


@pytest.mark.parametrize("name", ["", "1-unknown", "../owners/x", "a/b"])
def test_a_name_that_nobody_has_is_not_alive(tmp_path: Path, name: str) -> None:
    """Also where the state folder has never been used, and no name leads out of it."""
    assert not is_alive(str(tmp_path), name)


def test_owners_that_come_and_go_at_the_same_time_never_lose_their_locks(tmp_path: Path) -> None:
    """Nobody's file is taken for a leftover between its making and its locking."""
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{COME_AND_GO}"
    command = [sys.executable, "-c", code, str(tmp_path)]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [child.communicate(timeout=50)[1] for child in children]
    assert errors == ["", "", ""]


def test_a_state_folder_that_is_gone_is_no_error_at_the_end(tmp_path: Path) -> None:
    """Releasing has nothing left to remove."""
    owner = Owner(str(tmp_path / "state"))
    name = owner.acquire()
    (tmp_path / "state" / "owners" / name).unlink()
    owner.release()
    assert not is_alive(str(tmp_path / "state"), name)


def test_owners_may_be_looked_at_from_many_threads(tmp_path: Path) -> None:
    """The kernel asks from worker threads."""
    owner = Owner(str(tmp_path))
    name = owner.acquire()
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(is_alive(str(tmp_path), name))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8
    owner.release()
