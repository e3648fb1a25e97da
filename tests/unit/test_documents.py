"""A query text is parsed and checked once; a bad one is never kept, and memory is bounded."""

import pytest
import strawberry

from backend.schema import documents as module
from backend.schema.documents import LONGEST_KEPT, Documents, KnownDocuments, digest_of


@strawberry.type
class Query:
    @strawberry.field
    def double(self, number: int) -> int:
        return number * 2


@pytest.fixture
def kept():
    return Documents(2)


@pytest.fixture
def schema(kept):
    return strawberry.Schema(Query, extensions=[lambda: KnownDocuments(kept)])


ASK = "query ($number: Int!) { double(number: $number) }"


def test_a_known_text_runs_with_other_variables(schema, kept):
    answers = [schema.execute_sync(ASK, {"number": number}).data for number in (1, 2)]
    assert answers == [{"double": 2}, {"double": 4}]
    assert kept.get(digest_of(ASK)) is not None


def test_a_known_text_is_not_checked_again(schema, kept, monkeypatch):
    schema.execute_sync(ASK, {"number": 1})
    monkeypatch.setattr("strawberry.schema.schema.parse", lambda *args, **kwargs: pytest.fail("parsed again"))
    monkeypatch.setattr(module, "examine", lambda *args: pytest.fail("counted again"))
    monkeypatch.setattr(module, "validate", lambda *args, **more: pytest.fail("checked again"))
    assert schema.execute_sync(ASK, {"number": 3}).data == {"double": 6}


@pytest.mark.parametrize("query", ["{ double", "{ triple(number: 1) }", "{ double }"])
def test_a_bad_text_is_refused_every_time(schema, kept, query):
    for _ in range(2):
        assert schema.execute_sync(query).errors
    assert kept.get(digest_of(query)) is None


def test_too_many_tokens_are_refused(schema, kept, monkeypatch):
    monkeypatch.setattr(module, "MOST_TOKENS", 5)
    assert "token" in str(schema.execute_sync(ASK, {"number": 1}).errors)


def test_a_long_text_runs_and_is_not_kept(schema, kept):
    query = "{ double(number: 1) } #" + "x" * LONGEST_KEPT
    assert schema.execute_sync(query).data == {"double": 2}
    assert kept.get(digest_of(query)) is None


def test_the_text_not_used_for_longest_goes(schema, kept):
    texts = [f"{{ double(number: {number}) }}" for number in range(3)]
    for text in (texts[0], texts[1], texts[0], texts[2]):
        schema.execute_sync(text)
    assert [kept.get(digest_of(text)) is not None for text in texts] == [True, False, True]
