"""Which media type an answer has: what the Accept header asks for, as RFC 9110 (12.5.1) reads it."""

from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
_RANGES = {
    JSON: (JSON, "application/*", "*/*"),
    GRAPHQL_JSON: (GRAPHQL_JSON, "application/*", "*/*"),
}
"""Who is meant by which range, the most specific first."""


@lru_cache(maxsize=256)
def answer_type(accept: str) -> str | None:
    """The type that is preferred; None when neither is acceptable.

    Without a preference it is plain JSON, which every client reads; of two that are named alike, GraphQL's own.
    """
    if not accept.strip():
        return JSON
    wanted = qualities(accept)
    json, graphql = (quality_of(kind, wanted) for kind in (JSON, GRAPHQL_JSON))
    if not json and not graphql:
        return None
    if graphql > json or (graphql == json and GRAPHQL_JSON in wanted):
        return GRAPHQL_JSON
    return JSON


def qualities(accept: str) -> dict[str, float]:
    """The media ranges of an Accept header with their weights, 0 to 1; a weight that is no number counts as 0."""
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [value for name, _, value in (one.partition("=") for one in parameters) if name.strip() == "q"]
        wanted[media_range] = max(weight_of(weights), wanted.get(media_range, 0.0))
    return wanted


def weight_of(weights: list[str]) -> float:
    try:
        weight = float(weights[0]) if weights else 1.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def quality_of(kind: str, wanted: dict[str, float]) -> float:
    return next((wanted[media_range] for media_range in _RANGES[kind] if media_range in wanted), 0.0)


def is_json(content_type: str) -> bool:
    """Whether a request's Content-Type is JSON in UTF-8, which is the only encoding that JSON has."""
    kind, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charsets = [value.strip('"') for name, _, value in (one.partition("=") for one in parameters) if name == "charset"]
    return kind == JSON and all(charset in ("utf-8", "utf8") for charset in charsets)
