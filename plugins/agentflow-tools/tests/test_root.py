"""The root: what can be opened below it, and what not."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from agentflow_kernel.errors import InputInvalid, PathRefused, StorageUnavailable, ToolFailed, UsageError
from agentflow_tools import _openat2
from agentflow_tools._openat2 import Openat2, find_openat2
from agentflow_tools._opener import StepOpener, choose_opener
from agentflow_tools._root import Root


@pytest.fixture
def below(folder, opener):
    """The root, opened one way or the other."""
    made = Root(str(folder), "root", opener=opener)
    yield made
    made.close()


def content(below, path: str) -> bytes:
    with below.open(path) as opened:
        return os.read(opened.fd, 100)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_opens_files_and_folders_below(root, below) -> None:
    """A plain file is read, a folder is told apart, and the path is given back in its shortest form."""
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c.txt").write_bytes(b"inside")
    assert content(below, "a/b/c.txt") == b"inside"
    assert content(below, "./a//b/./c.txt") == b"inside"
    with below.open("a/./b/") as opened:
        assert opened.is_folder
        assert opened.path == "a/b"
    with below.open(".") as opened:
        assert opened.is_folder
        assert opened.path == "."


def test_refuses_a_link_out_of_the_root(root, below) -> None:
    """By a relative or an absolute target, as the last name or on the way."""
    (root / "up").symlink_to("../outside.txt")
    (root / "abs").symlink_to(root.parent / "outside.txt")
    (root / "way").symlink_to("..")
    (root / "etc").symlink_to("/etc")
    for path in ("up", "abs", "way/outside.txt", "etc/passwd", "way", "etc"):
        with pytest.raises(PathRefused, match="symbolic link"):
            content(below, path)


def test_refuses_an_absolute_link_that_points_back_inside(root, below) -> None:
    """Such a link leaves the root on its way; that it comes back is not looked at."""
    (root / "file").write_bytes(b"inside")
    (root / "back").symlink_to(root / "file")
    with pytest.raises(PathRefused, match="symbolic link"):
        content(below, "back")


def test_links_that_stay_inside_depend_on_the_way_to_open(root, below, opener) -> None:
    """Followed where Linux watches each step, also over `..` and in chains; refused where we go step by step."""
    (root / "a").mkdir()
    (root / "file").write_bytes(b"inside")
    (root / "a/first").symlink_to("../file")
    (root / "second").symlink_to("a/first")
    (root / "third").symlink_to("second")
    (root / "folder").symlink_to("a")
    for path in ("a/first", "second", "third", "folder/first"):
        if isinstance(opener, Openat2):
            assert content(below, path) == b"inside"
        else:
            with pytest.raises(PathRefused, match="symbolic link"):
                content(below, path)


def test_refuses_a_chain_of_links_that_leads_out_at_its_end(root, below) -> None:
    """Each link of the chain stays inside but the last."""
    (root / "l0").symlink_to("../outside.txt")
    for number in range(1, 30):
        (root / f"l{number}").symlink_to(f"l{number - 1}")
    for number in range(30):
        with pytest.raises(PathRefused, match="symbolic link"):
            content(below, f"l{number}")


def test_refuses_a_circle_of_links(root, below) -> None:
    """And a link to itself."""
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "self").symlink_to("self")
    for path in ("a", "b", "self", "a/x", "self/x"):
        with pytest.raises(PathRefused, match="symbolic link"):
            content(below, path)


def test_refuses_the_magic_links_of_proc(opener) -> None:
    """With /proc as the root, its links to folders and open files of processes lead nowhere."""
    proc = Root("/", "proc", opener=opener)
    for path in ("root/etc/passwd", "cwd", "exe", "fd/0", "root", "root/proc/self/root/etc/passwd"):
        with pytest.raises(PathRefused, match="symbolic link"):
            content(proc, f"{os.getpid()}/{path}")
    proc.close()


def test_refuses_devices(opener) -> None:
    """With /dev as the root: a device is refused, not read."""
    dev = Root("/", "dev", opener=opener)
    for path in ("null", "zero", "tty"):
        with pytest.raises(PathRefused, match="a device"):
            content(dev, path)
    dev.close()


def test_a_device_is_never_opened(root, below, monkeypatch) -> None:
    """Opening one may already do something, so that its kind is looked at first."""
    os.mkfifo(root / "pipe")
    flags_seen = []
    opener = below._opener

    class Spy:
        def open(self, root_fd, names, flags) -> int:
            flags_seen.append(flags)
            return opener.open(root_fd, names, flags)

    monkeypatch.setattr(below, "_opener", Spy())
    with pytest.raises(PathRefused, match="a named pipe"):
        content(below, "pipe")
    assert flags_seen == [os.O_PATH]


def test_refuses_a_named_pipe_without_waiting_for_a_writer(root, below) -> None:
    """Also when it takes the place of a file after the first look."""
    os.mkfifo(root / "pipe")
    (root / "file").write_bytes(b"inside")
    opener = below._opener or StepOpener()

    class SwappedBetween:
        def open(self, root_fd, names, flags) -> int:
            if flags != os.O_PATH:
                names = (b"pipe",)
            return opener.open(root_fd, names, flags)

    below._opener = SwappedBetween()
    before = open_descriptors()
    with pytest.raises(PathRefused, match="a named pipe"):
        content(below, "file")
    assert open_descriptors() <= before + 1  # the root itself


def test_refuses_a_socket(root, below, monkeypatch) -> None:
    """A socket has a path, but is no file."""
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(PathRefused, match="a socket"):
            content(below, "socket")


def test_a_missing_file_is_named_with_its_neighbour(root, below) -> None:
    """The text says what to do: the like name of the same folder, else to call list."""
    (root / "logs").mkdir()
    (root / "logs/sshd.log").touch()
    with pytest.raises(ToolFailed, match=r"no 'logs/ssh\.log' below the root\. Did you mean 'logs/sshd\.log'\?"):
        content(below, "logs/ssh.log")
    with pytest.raises(ToolFailed, match="Call list"):
        content(below, "logs/zzz")
    with pytest.raises(ToolFailed, match="Call list"):
        content(below, "nowhere/zzz")


def test_a_file_taken_for_a_folder_is_told(root, below) -> None:
    """The way goes through a plain file."""
    (root / "file").touch()
    with pytest.raises(ToolFailed, match="passes a file as if it were a folder"):
        content(below, "file/x")


def test_a_name_below_the_root_may_be_as_long_as_the_system_allows(root, below) -> None:
    """255 bytes are fine, whatever the alphabet."""
    name = "ö" * 127 + "x"
    (root / name).write_bytes(b"inside")
    assert content(below, name) == b"inside"


def test_a_file_without_permission_is_told(root, below, monkeypatch) -> None:
    """The same as for a missing file: the model is told, with what to do."""
    (root / "secret").touch()
    opener = below._opener

    class Denied:
        def open(self, root_fd, names, flags) -> int:
            if names:
                raise PermissionError(13, "Permission denied")
            return opener.open(root_fd, names, flags)

    monkeypatch.setattr(below, "_opener", Denied())
    with pytest.raises(ToolFailed, match="permission denied"):
        content(below, "secret")


@pytest.mark.parametrize("number", [5, 23, 24, 116])
def test_a_failing_machine_is_no_answer_to_the_model(root, below, monkeypatch, number) -> None:
    """Input/output errors and too many open files are unavailable storage: not executed, so another try may help."""

    class Broken:
        def open(self, root_fd, names, flags) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(below, "_opener", Broken())
    with pytest.raises(StorageUnavailable, match="could not be read") as caught:
        content(below, "file")
    assert caught.value.executed == "no"


@pytest.mark.parametrize("setting", ["nowhere", "outside.txt", "a\0b"])
def test_a_root_that_is_no_folder_is_a_fault_of_the_settings(folder, opener, setting) -> None:
    """It names the setting and the path; a model could not help it."""
    missing = Root(str(folder), setting, opener=opener)
    with pytest.raises(InputInvalid, match=r"Setting 'root'.*Create it, or change the setting"):
        content(missing, "x")
    missing.close()


def test_a_root_that_comes_later_is_found(folder, opener) -> None:
    """The first use that succeeds opens it; a failed one does not decide for all time."""
    later = Root(str(folder), "later", opener=opener)
    with pytest.raises(InputInvalid, match="later"):
        content(later, "x")
    (folder / "later").mkdir()
    (folder / "later/x").write_bytes(b"inside")
    assert content(later, "x") == b"inside"
    later.close()


def test_the_root_stays_the_folder_that_was_opened(folder, root, below) -> None:
    """Another folder put in its place afterwards is not seen."""
    (root / "x").write_bytes(b"inside")
    assert content(below, "x") == b"inside"
    root.rename(folder / "moved")
    root.mkdir()
    (root / "x").write_bytes(b"other")
    assert content(below, "x") == b"inside"


def test_the_root_itself_may_be_named_by_a_link(folder, root, opener) -> None:
    """The operator chose it; only what is below is watched."""
    (root / "x").write_bytes(b"inside")
    (folder / "link").symlink_to("root")
    linked = Root(str(folder), "link", opener=opener)
    assert content(linked, "x") == b"inside"
    linked.close()


def test_close_may_come_twice_and_ends_the_use(root, below) -> None:
    """After it every call is a wrong call."""
    (root / "x").touch()
    content(below, "x")
    below.close()
    below.close()
    assert below.close_nowait()
    with pytest.raises(UsageError, match="has been closed"):
        content(below, "x")


def test_what_is_open_survives_the_close(root, below) -> None:
    """A file stays readable until its block ends: its descriptor is its own."""
    (root / "x").write_bytes(b"inside")
    with below.open("x") as opened:
        below.close()
        assert os.read(opened.fd, 100) == b"inside"


def test_no_descriptor_is_left_behind(root, below) -> None:
    """Neither by success nor by any refusal; the root is the only one held."""
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/x").touch()
    (root / "out").symlink_to("..")
    os.mkfifo(root / "pipe")
    before = open_descriptors()
    for path in ("a/b/x", "a/b", ".", "out/outside.txt", "pipe", "a/b/missing", "a/b/x/y", "..", "out"):
        try:
            content(below, path) if path.endswith("x") else below.open(path).__enter__()
        except (PathRefused, ToolFailed):
            continue
    assert open_descriptors() <= before + 3  # the root, and the two folders entered and not left
    below.close()


def test_descriptors_are_not_inherited(root, below) -> None:
    """A child process of somebody else gets none of them."""
    (root / "x").touch()
    with below.open("x") as opened:
        assert not os.get_inheritable(opened.fd)
        assert below._fd is not None
        assert not os.get_inheritable(below._fd)
        assert stat.S_ISREG(opened.status.st_mode)


def test_openat2_is_used_where_linux_has_it(root) -> None:
    """And the other way where the kernel, a sandbox or the machine says no."""
    fd = os.open(root, os.O_PATH)
    assert isinstance(choose_opener(fd), Openat2)
    os.close(fd)


@pytest.mark.parametrize("number", [38, 1, 22])
def test_a_sandbox_without_the_call_is_noticed(root, monkeypatch, number) -> None:
    """A filter that does not know openat2 answers "no such call" or "not permitted"."""

    class Filtered:
        def open(self, root_fd, names, flags) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_openat2, "Openat2", Filtered)
    assert find_openat2(0) is None


def test_folders_that_keep_moving_are_tried_again_and_then_refused(root, below, monkeypatch) -> None:
    """Linux asks to try again when it cannot tell; that ends."""
    call = Openat2()
    calls = []

    def busy(*arguments: object) -> int:
        calls.append(arguments)
        _openat2.ctypes.set_errno(11)
        return -1

    call._syscall = busy
    below._opener = call
    with pytest.raises(PathRefused, match="keep being moved"):
        content(below, "x")
    assert len(calls) == _openat2._ATTEMPTS
