"""One line into a file that a person wrote, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.toml_edit import with_setting
from core.errors import ConfigError


def test_the_line_goes_below_its_table_and_comments_stay(tmp_path: Path) -> None:
    """The file is a person's: its comments and order are theirs."""
    file = tmp_path / "accord.toml"
    text = '# mine\n[connections.books]\nprovider = "quickbooks" # yes\n\n[connections.books.flows]\nname = "in"\n'
    file.write_text(text)
    with_setting(file, "books", "realm_id", "91")
    assert file.read_text() == text.replace("[connections.books]\n", '[connections.books]\nrealm_id = "91"\n')


@pytest.mark.parametrize(
    "text",
    ["", "connections.books.provider = 1\n", '[connections.books]\nrealm_id = "1"\n', "[connections.books\n"],
)
def test_where_it_cannot_be_done_safely_the_line_is_told(tmp_path: Path, text: str) -> None:
    """A damaged configuration would stop the daemon."""
    file = tmp_path / "accord.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match='realm_id = "91"'):
        with_setting(file, "books", "realm_id", "91")
    assert file.read_text() == text


def test_a_missing_file_is_told_too(tmp_path: Path) -> None:
    """There may be no file at all."""
    with pytest.raises(ConfigError, match='realm_id = "91"'):
        with_setting(tmp_path / "nothing.toml", "books", "realm_id", "91")


def test_the_file_of_a_windows_editor_stays_one(tmp_path: Path) -> None:
    """Every line end of it was rewritten, and a file with a byte order mark could not be written to at all."""
    file = tmp_path / "accord.toml"
    file.write_bytes(b'\xef\xbb\xbf# mine\r\n[connections.books]\r\nprovider\t=\t"quickbooks"\r\n')
    with_setting(file, "books", "realm_id", "91")
    changed = b'\xef\xbb\xbf# mine\r\n[connections.books]\r\nrealm_id = "91"\r\nprovider\t=\t"quickbooks"\r\n'
    assert file.read_bytes() == changed


def test_a_table_at_the_end_of_a_file_gets_its_line(tmp_path: Path) -> None:
    """Not every editor ends the last line."""
    file = tmp_path / "accord.toml"
    file.write_text("[connections.books]")
    with_setting(file, "books", "realm_id", "91")
    assert file.read_text() == '[connections.books]\nrealm_id = "91"\n'


def test_a_link_stays_a_link_and_its_file_is_rewritten(tmp_path: Path) -> None:
    """A file took the place of the link, and the one that is kept elsewhere stayed as it was."""
    kept, link = tmp_path / "kept" / "accord.toml", tmp_path / "accord.toml"
    kept.parent.mkdir()
    kept.write_text("[connections.books]\n")
    kept.chmod(0o640)
    link.symlink_to(Path("kept") / "accord.toml")
    with_setting(link, "books", "realm_id", "91")
    assert (link.is_symlink(), kept.read_text()) == (True, '[connections.books]\nrealm_id = "91"\n')
    assert kept.stat().st_mode & 0o777 == 0o640
    assert list(kept.parent.iterdir()) == [kept]
