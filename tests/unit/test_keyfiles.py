"""Secrets in files: who may read them, where they may lie, and that two starts make one."""

import os
import stat
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from django.core.exceptions import ImproperlyConfigured

from backend import keyfiles
from backend.keyfiles import new_rsa_private_key, public_key_of, read_secret, read_text, secret_or_create, write_once


def secret_file(folder, mode=0o600, text="secret"):
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_that_others_cannot_read_is_read(tmp_path, mode):
    assert read_secret(secret_file(tmp_path, mode)) == "secret"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o660, 0o620, 0o610, 0o650, 0o666, 0o777])
def test_a_file_that_others_can_touch_is_refused_with_the_mend(tmp_path, mode):
    path = secret_file(tmp_path, mode)
    with pytest.raises(ImproperlyConfigured, match=f"mode {mode:04o}.*chmod 600"):
        read_secret(path)


def test_a_file_of_another_user_is_refused_with_the_mend_unless_that_is_root(tmp_path, monkeypatch):
    path = secret_file(tmp_path)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(keyfiles, "ROOT", owner + 2)
    with pytest.raises(ImproperlyConfigured, match=f"belongs to user {owner}.*chown {owner + 1} "):
        read_secret(path)
    monkeypatch.setattr(keyfiles, "ROOT", owner)
    assert read_secret(path) == "secret"


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(ImproperlyConfigured, match=r"nothing\.pem cannot be read"):
        read_secret(tmp_path / "nothing.pem")
    with pytest.raises(ImproperlyConfigured, match=r"nothing\.pem cannot be read"):
        read_text(tmp_path / "nothing.pem")


def test_a_file_that_is_no_ascii_is_refused(tmp_path):
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        read_secret(secret_file(tmp_path, text="ключ"))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout of its own."""
    base = tmp_path / "checkout"
    (base / "var").mkdir(parents=True)
    monkeypatch.setattr(keyfiles, "BASE_DIR", base)
    monkeypatch.setattr(keyfiles, "VAR_DIR", base / "var")
    return base


def test_a_secret_in_the_tracked_tree_is_refused_and_in_var_is_not(tree, tmp_path):
    (tree / "backend").mkdir()
    for folder in (tree, tree / "backend"):
        with pytest.raises(ImproperlyConfigured, match="tracked tree"):
            read_secret(secret_file(folder))
    assert read_secret(secret_file(tree / "var")) == "secret"
    assert read_secret(secret_file(tmp_path)) == "secret"


def test_a_folder_whose_name_begins_alike_is_not_the_tree(tree, tmp_path):
    beside = tmp_path / "checkout-keys"
    beside.mkdir()
    assert read_secret(secret_file(beside)) == "secret"
    (tree / "variants").mkdir()
    with pytest.raises(ImproperlyConfigured, match="tracked tree"):
        read_secret(secret_file(tree / "variants"))


@pytest.mark.parametrize("way", ["link", "dots"])
def test_no_detour_leads_into_the_tree(tree, tmp_path, way):
    secret_file(tree)
    (tmp_path / "link").symlink_to(tree / "key")
    path = {"link": tmp_path / "link", "dots": tree / "var" / ".." / "key"}[way]
    with pytest.raises(ImproperlyConfigured, match="tracked tree"):
        read_secret(path)


def test_a_secret_is_not_made_in_the_tracked_tree(tree):
    with pytest.raises(ImproperlyConfigured, match="tracked tree"):
        secret_or_create(tree / "key", lambda: "made")


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_a_secret_is_made_once_for_its_owner_alone(tmp_path, umask):
    path = tmp_path / "new" / "key"
    before = os.umask(umask)
    try:
        assert secret_or_create(path, lambda: "first") == "first"
    finally:
        os.umask(before)
    assert secret_or_create(path, lambda: "second") == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_writing_once_never_writes_over(tmp_path):
    write_once(tmp_path / "key", "first")
    write_once(tmp_path / "key", "second")
    assert (tmp_path / "key").read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_once(tmp_path / "key", "ключ")
    assert list(tmp_path.iterdir()) == []


def test_many_that_start_at_once_agree_on_one_secret(tmp_path):
    path, start, found = tmp_path / "key", threading.Barrier(8), []

    def begin(number):
        def make():
            start.wait(10)  # all have seen that there is none
            return f"{number}" * 5000

        found.append(secret_or_create(path, make))

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 5000
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_new_key_is_rsa_of_2048_bits_and_its_public_half_fits():
    private = new_rsa_private_key()
    key = serialization.load_pem_private_key(private.encode(), None)
    public = serialization.load_pem_public_key(public_key_of(private).encode())
    assert (key.key_size, public.public_numbers()) == (2048, key.public_key().public_numbers())
    assert "PRIVATE" not in public_key_of(private)
