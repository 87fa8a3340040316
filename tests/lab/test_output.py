"""Result files: whole or not at all."""

import os
from pathlib import Path

import pytest

from mtsid.lab.output import OutputError, OutputFile


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with OutputFile(str(path)) as out:
        out.write("a")
        assert not path.exists()
        out.write("b\n")
    assert path.read_text() == "ab\n"
    assert os.listdir(tmp_path) == ["out"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def fail_half_way() -> None:
        with OutputFile(str(path)) as out:
            out.write("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_replaced_file_keeps_its_mode_and_a_link_its_place(tmp_path: Path) -> None:
    path, link = tmp_path / "out", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with OutputFile(str(link)) as out:
        out.write("new")
    assert path.read_text() == "new"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_is_no_regular_file_is_written_directly() -> None:
    with OutputFile(os.devnull) as out:
        out.write("x")
    assert not os.path.isfile(os.devnull)


@pytest.mark.parametrize("name", ["no/such/folder", ".", "nul\0byte"])
def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"), OutputFile(str(tmp_path / name)):
        pytest.fail("it was opened")
    assert os.listdir(tmp_path) == []
