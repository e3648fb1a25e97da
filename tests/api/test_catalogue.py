"""course, courses and myCourses."""

import pytest
from django.utils import timezone

from backend.courses.models import Course, Enrollment
from tests.api.helpers import own, pay

COURSE = "query ($id: ID!) { course(id: $id) { id name summary price owned } }"
COURSES = """
query ($first: Int! = 20, $after: String, $search: String) {
  courses(first: $first, after: $after, search: $search) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id name price owned } }
  }
}
"""
MY_COURSES = """
query ($first: Int! = 20, $after: String) {
  myCourses(first: $first, after: $after) {
    totalCount pageInfo { hasNextPage hasPreviousPage endCursor } edges { node { id name price owned } }
  }
}
"""


def names(connection):
    return [edge["node"]["name"] for edge in connection["edges"]]


@pytest.fixture
def five(db):
    return [Course.objects.create(name=f"Course {n}", price_fen=n) for n in range(1, 6)]


def test_a_course_on_sale_is_shown_to_everyone(anonymous, courses):
    Course.objects.filter(pk=courses[0].pk).update(summary="From zero")
    assert anonymous.ask(COURSE, id=str(courses[0].pk))["course"] == {
        "id": str(courses[0].pk),
        "name": "Python 全栈开发",
        "summary": "From zero",
        "price": "117.00",
        "owned": False,
    }


@pytest.mark.parametrize("course_id", ["0", "-1", "01", "1.0", "abc", "", "9" * 30, "9" * 18, "\x00", "１"], ids=ascii)
def test_an_id_of_no_course_is_null(buyer, courses, course_id):
    assert buyer.ask(COURSE, id=course_id) == {"course": None}


def test_a_course_off_sale_is_not_in_the_catalogue_but_stays_readable_to_its_owner(buyer, courses, order, payment):
    pay(payment)
    Course.objects.filter(pk=courses[0].pk).update(on_sale=False)
    assert buyer.ask(COURSE, id=str(courses[0].pk)) == {"course": None}
    assert names(buyer.ask(COURSES)["courses"]) == ["Vue 3 实战", "Linux 入门"]
    assert names(buyer.ask(MY_COURSES)["myCourses"]) == ["Python 全栈开发", "Vue 3 实战"]
    lines = "query ($id: ID!) { order(id: $id) { lines { course { id name price owned } } } }"
    assert buyer.ask(lines, id=order.number)["order"]["lines"][0]["course"] == {
        "id": str(courses[0].pk),
        "name": "Python 全栈开发",
        "price": "117.00",
        "owned": True,
    }


def test_the_catalogue_has_what_is_on_sale(anonymous, courses):
    page = anonymous.ask(COURSES)["courses"]
    assert names(page) == ["Python 全栈开发", "Vue 3 实战", "Linux 入门"]
    assert page["totalCount"] == 3
    assert page["pageInfo"]["hasNextPage"] is False
    assert page["pageInfo"]["hasPreviousPage"] is False


def test_owned_is_the_signed_in_users_own(buyer, user, stranger, anonymous, courses):
    own(user, courses[1])
    flags = [
        [edge["node"]["owned"] for edge in shopper.ask(COURSES)["courses"]["edges"]]
        for shopper in (buyer, stranger, anonymous)
    ]
    assert flags == [[False, True, False], [False] * 3, [False] * 3]
    assert buyer.ask(COURSE, id=str(courses[1].pk))["course"]["owned"] is True
    assert stranger.ask(COURSE, id=str(courses[1].pk))["course"]["owned"] is False


def test_closed_access_is_not_owned(buyer, user, courses):
    own(user, courses[1])
    Enrollment.objects.update(closed_at=timezone.now())
    assert buyer.ask(COURSE, id=str(courses[1].pk))["course"]["owned"] is False
    assert buyer.ask(MY_COURSES)["myCourses"]["totalCount"] == 0


def test_an_order_that_is_not_paid_opens_nothing(buyer, courses, order):
    assert buyer.ask(MY_COURSES)["myCourses"]["edges"] == []


def test_my_courses_are_mine(buyer, stranger, user, courses):
    own(user, courses[0], courses[2])
    own(stranger.user, courses[1])
    page = buyer.ask(MY_COURSES, first=1)["myCourses"]
    assert (names(page), page["totalCount"]) == (["Python 全栈开发"], 2)
    page = buyer.ask(MY_COURSES, first=1, after=page["pageInfo"]["endCursor"])["myCourses"]
    assert (names(page), page["pageInfo"]["hasNextPage"]) == (["Linux 入门"], False)


def test_pages_of_two_over_five_rows(anonymous, five):
    pages, after = [], None
    for _ in range(3):
        page = anonymous.ask(COURSES, first=2, after=after)["courses"]
        info = page["pageInfo"]
        pages.append((names(page), info["hasNextPage"], info["hasPreviousPage"], page["totalCount"]))
        assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
        after = info["endCursor"]
    assert pages == [
        (["Course 1", "Course 2"], True, False, 5),
        (["Course 3", "Course 4"], True, True, 5),
        (["Course 5"], False, True, 5),
    ]
    past = anonymous.ask(COURSES, first=2, after=after)["courses"]
    assert past["edges"] == []
    assert past["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None}


def test_a_page_that_is_just_full_has_no_next(anonymous, five):
    assert anonymous.ask(COURSES, first=5)["courses"]["pageInfo"]["hasNextPage"] is False
    assert anonymous.ask(COURSES, first=4)["courses"]["pageInfo"]["hasNextPage"] is True


@pytest.mark.parametrize("first", [0, -1, 101, 2_000_000_000])
@pytest.mark.parametrize("field", ["courses", "myCourses"])
def test_a_page_has_1_to_100_rows(buyer, five, field, first):
    assert buyer.errors(f"{{ {field}(first: {first}) {{ totalCount }} }}") == ["BAD_REQUEST"]


@pytest.mark.parametrize("first", [1, 100])
def test_the_least_and_the_most_of_a_page(anonymous, five, first):
    assert len(anonymous.ask(COURSES, first=first)["courses"]["edges"]) == min(first, 5)


@pytest.mark.parametrize("first", ["1", 1.5, True, 2**31, 2**63, [1, 2]], ids=str)
def test_first_is_a_whole_number(anonymous, five, first):
    assert anonymous.errors(COURSES, first=first) == ["BAD_REQUEST"]


@pytest.mark.parametrize("after", ["", "abc", "0", "-1", "01", "9" * 30, "\x00", "１", "YXJyYXk6MQ=="], ids=ascii)
@pytest.mark.parametrize("field", ["courses", "myCourses"])
def test_a_junk_cursor_is_a_bad_request(buyer, five, field, after):
    query = f"query ($after: String) {{ {field}(after: $after) {{ totalCount }} }}"
    assert buyer.errors(query, after=after) == ["BAD_REQUEST"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("python", ["Python 全栈开发"]),
        ("PYTHON", ["Python 全栈开发"]),
        ("全栈", ["Python 全栈开发"]),
        ("全栈 python", ["Python 全栈开发"]),
        ("python vue", []),
        ("components", ["Vue 3 实战"]),
        ("components 实战", ["Vue 3 实战"]),
        ("flash", []),
        ("%", []),
        ("_", []),
        ("'", []),
        ("\\", []),
        ("", ["Python 全栈开发", "Vue 3 实战", "Linux 入门"]),
        ("   ", ["Python 全栈开发", "Vue 3 实战", "Linux 入门"]),
        (None, ["Python 全栈开发", "Vue 3 实战", "Linux 入门"]),
    ],
)
def test_search_finds_each_of_its_words_in_name_or_summary(anonymous, courses, search, found):
    Course.objects.filter(pk=courses[1].pk).update(summary="Components and routes")
    page = anonymous.ask(COURSES, search=search)["courses"]
    assert names(page) == found
    assert page["totalCount"] == len(found)


@pytest.mark.parametrize("search", ["x" * 101, "a\x00b"], ids=ascii)
def test_a_search_beyond_reason_is_a_bad_request(anonymous, courses, search):
    assert anonymous.errors(COURSES, search=search) == ["BAD_REQUEST"]
