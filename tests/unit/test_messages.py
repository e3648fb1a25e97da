"""The Chinese catalogue is whole and current."""

import re

import polib
import pytest

from tools.compile_messages import catalogues, is_current
from tools.messages import CATALOGUE, messages, texts_in_python

HOLE = re.compile(r"\{\w+\}|%\(\w+\)s")


@pytest.fixture(scope="module")
def entries():
    return {entry.msgid: entry for entry in polib.pofile(str(CATALOGUE))}


def test_the_compiled_catalogue_is_current():
    assert catalogues() == [CATALOGUE]
    assert is_current(CATALOGUE), "run: python tools/compile_messages.py"


def test_every_text_of_the_backend_is_in_the_catalogue_and_no_other(entries):
    assert set(entries) == set(messages()), "run: python tools/messages.py, translate, then tools/compile_messages.py"


def test_nothing_is_untranslated_fuzzy_or_obsolete(entries):
    assert [text for text, entry in entries.items() if not entry.msgstr or entry.fuzzy or entry.obsolete] == []


def test_a_translation_keeps_the_holes_of_its_text(entries):
    holes = {text: (sorted(HOLE.findall(text)), sorted(HOLE.findall(entry.msgstr))) for text, entry in entries.items()}
    assert {text: pair for text, pair in holes.items() if pair[0] != pair[1]} == {}


def test_a_text_that_is_no_literal_is_refused():
    assert list(texts_in_python("_('a'); x.gettext('b'); other('c')")) == ["a", "b"]
    with pytest.raises(ValueError, match="only a literal"):
        list(texts_in_python("_(name)"))


def test_django_speaks_it():
    from django.utils.translation import gettext, override

    with override("zh-hans"):
        assert gettext("unpaid") == "待支付"
    with override("en"):
        assert gettext("unpaid") == "unpaid"
