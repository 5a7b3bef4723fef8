"""What a user asked to be written: devices stay devices, links links, modes modes, and what lasts was flushed."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import forecheck as fc
from forecheck import files, outputs
from forecheck.errors import UsageError, WriteError
from forecheck.outputs import check_output, finish_update, update_folder, write_output

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such files")


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "a.csv"
    for content in (b"one", b"two, longer", b""):
        write_output(path, content)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_stays(tmp_path, mode):
    path = tmp_path / "a.csv"
    path.touch()
    path.chmod(mode)
    write_output(path, b"x")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"x"


@posix
def test_behind_a_link_the_target_is_written(tmp_path):
    target, link, chain = tmp_path / "deep" / "target", tmp_path / "link", tmp_path / "chain"
    target.parent.mkdir()
    link.symlink_to("deep/target")
    chain.symlink_to("link")
    for content in (b"new", b"again"):
        check_output(chain)
        write_output(chain, content)
        assert target.read_bytes() == content
    assert link.is_symlink()
    assert chain.is_symlink()


@posix
def test_a_pipe_is_written_to(tmp_path):
    path, got = tmp_path / "pipe", []
    os.mkfifo(path)
    check_output(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write_output(path, b"through")
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@posix
def test_a_terminal_is_a_device(tmp_path):
    import pty

    terminal, other = pty.openpty()
    name = os.ttyname(other)
    check_output(tmp_path / "x")
    write_output(name, b"shown")
    assert os.read(terminal, 100) == b"shown"
    assert stat.S_ISCHR(Path(name).stat().st_mode)
    os.close(terminal)
    os.close(other)


@posix
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/stderr"])
def test_standard_output_as_a_file_goes_on_where_it_is(tmp_path, path):
    code = f"import sys; from forecheck.outputs import *; check_output(__import__('pathlib').Path({path!r})); "
    code += f"print('before', flush=True, file=sys.{path[5:]}); write_output({path!r}, b'written\\n'); "
    code += f"print('after', file=sys.{path[5:]})"
    target = tmp_path / "log"
    target.write_text("earlier\n")
    with target.open("a") as file:
        done = subprocess.run([sys.executable, "-c", code], check=False, **{path[5:]: file})
    assert done.returncode == 0
    assert target.read_text().split() == ["earlier", "before", "written", "after"]


@posix
def test_a_file_that_cannot_be_renamed_to_is_written_over(tmp_path, monkeypatch):
    """As one that is mounted by itself, or stands in a folder without permission."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"earlier, and longer")

    def busy(self, target):
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr("pathlib.Path.replace", busy)
    write_output(path, b"new")
    assert path.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_the_system_refuses_leaves_the_earlier_file(tmp_path, monkeypatch, code, call):
    path = tmp_path / "new.csv"

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.replace", refuse)
    with pytest.raises(WriteError, match=os.strerror(code)) as caught:
        write_output(path, b"x")
    assert ("Free some space" in str(caught.value)) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert "What was finished before is saved" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("n" * 300, "too long"),
        ("missing/a", "does not exist"),
        ("folder", "it is a folder"),
        ("circle", "cannot write"),
    ],
)
def test_what_cannot_be_written_is_known_before(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UsageError, match=message):
        check_output(tmp_path / name)


def test_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("n" * 255)
    check_output(path)
    write_output(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_part_that_was_left_long_ago_goes(tmp_path):
    path = tmp_path / "a[1].csv"
    old, new, other = (tmp_path / f".{name}.part" for name in ("a[1].csv.0123", "a[1].csv.4567", "b.csv.0123"))
    for part in (old, new, other):
        part.touch()
    for part in (old, other):
        os.utime(part, (1, 1))
    write_output(path, b"x")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([new.name, other.name, path.name])


def recorded(monkeypatch):
    """Names of files and folders in the order in which they are flushed and renamed."""
    calls = []
    flush, folder, rename, replace = files.flush_file, files.flush_folder, os.rename, os.replace
    for module in (files, outputs):
        monkeypatch.setattr(module, "flush_file", lambda path: (calls.append(("flush", path.name)), flush(path)))
        monkeypatch.setattr(module, "flush_folder", lambda path: (calls.append(("folder", path.name)), folder(path)))
    monkeypatch.setattr(os, "rename", lambda a, b: (calls.append(("rename", Path(b).name)), rename(a, b)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append(("rename", Path(b).name)), replace(a, b)))
    return calls


def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    calls = recorded(monkeypatch)
    write_output(tmp_path / "a.csv", b"x")
    assert [what for what, _ in calls] == ["flush", "rename", "folder"]
    assert calls[1:] == [("rename", "a.csv"), ("folder", tmp_path.name)]


def fill(**contents):
    def write(folder):
        for name, content in contents.items():
            (folder / name).write_text(content)

    return write


def held(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_new_folder_is_flushed_too(tmp_path, monkeypatch):
    calls = recorded(monkeypatch)
    assert files.place_folder(tmp_path / "fit", fill(a="1", b="2"))
    assert [what for what, _ in calls] == ["flush", "flush", "folder", "rename", "folder"]
    assert not files.place_folder(tmp_path / "fit", fill(a="3"))
    assert held(tmp_path / "fit") == {"a": "1", "b": "2"}


class KilledError(BaseException):
    """The process ends here."""


def test_a_folder_is_updated_whole_or_not_at_all_wherever_it_is_killed(tmp_path, monkeypatch):
    """Killed at every flush and every rename, what a reader finds is all old or all new."""
    old, new = {"a": "old", "b": "old"}, {"a": "new", "b": "new"}
    seen = set()
    for limit in range(40):
        folder = tmp_path / str(limit)
        folder.mkdir()
        fill(**old)(folder)
        with monkeypatch.context() as patch:
            left = [limit]

            def kill(call, left=left):
                def called(*arguments):
                    if left[0] == 0:
                        raise KilledError
                    left[0] -= 1
                    return call(*arguments)

                return called

            for name in ("rename", "replace", "fsync"):
                patch.setattr(os, name, kill(getattr(os, name)))
            try:
                update_folder(folder, fill(**new))
                ended = True
            except KilledError:
                ended = False
        finish_update(folder)
        assert held(folder) in (old, new)
        assert held(folder) == new or not ended
        seen.add(held(folder)["a"])
        if ended:
            break
    assert ended
    assert seen == {"old", "new"}


def test_many_threads_update_one_folder(tmp_path):
    def write(name):
        for _ in range(5):
            update_folder(tmp_path, fill(a=name, b=name, c=name))

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(held(tmp_path).values())) == 1
    assert sorted(held(tmp_path)) == ["a", "b", "c"]


def test_many_threads_write_one_file(tmp_path):
    path = tmp_path / "a"
    contents = [bytes([number]) * 5000 for number in range(8)]
    threads = [threading.Thread(target=write_output, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@posix
def test_a_survey_on_a_device_writes_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(fc.Report, "_pages", lambda self, name: {name: "page", "beside.html": "other"})
    report = fc.Report({"schema": 1, "kind": "survey"})
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=(tmp_path / "pipe").read_bytes)
    reader.start()
    report.to_html(tmp_path / "pipe")
    reader.join()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("error", [None, "Error while serializing: I/O error: No such file or directory (os error 2)"])
def test_a_file_is_written_again_if_its_folder_is_taken_away_meanwhile(error, tmp_path):
    """As a process does that has finished the same fit, while this one writes its checkpoint."""
    path, tries = tmp_path / "folder" / "state", []

    def write(part):
        tries.append(part)
        if len(tries) < 3:
            files.remove_folder(path.parent)
            if error:
                raise ValueError(error)
        part.write_text("whole")

    files.replace_file(path, write)
    assert path.read_text() == "whole"
    assert [each.name for each in path.parent.iterdir()] == ["state"]
    assert len(tries) == 3

    def never(part):
        files.remove_folder(part.parent)
        part.write_text("")

    with pytest.raises(WriteError, match="No such file"):
        files.replace_file(path, never)
