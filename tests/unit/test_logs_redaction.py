"""No secret and nothing of a buyer's own comes out of a handler of ours, in whatever shape it came into the line."""

import copy
import io
import logging
import logging.config
import sys

import pytest
from django.conf import settings

from backend.logs import REDACTED, Redacted, redact
from tests.canaries import IN_LOGS, Watch, planted
from tests.settings import ALIPAY_PUBLIC_KEY, APP_KEY

NAMES = [
    "sign", "signature", "app_private_key", "alipay_public_key", "biz_content", "buyer_id", "buyer_logon_id",
    "buyer_user_id", "buyer_open_id", "password", "old_password", "passwd", "SECRET_KEY", "EVENT_SECRET", "token",
    "access_token", "csrfmiddlewaretoken", "sessionid", "api_key",
]  # fmt: skip
SHAPES = {
    "a form": "a=1&{}={}&z=2",
    "JSON": '{{"a": 1, "{}": "{}", "z": 2}}',
    "tight JSON": '{{"a":1,"{}":"{}","z":2}}',
    "JSON in JSON": '{{"a": "{{\\"{}\\":\\"{}\\"}}", "z": 2}}',
    "a repr": "{{'a': 1, '{}': '{}', 'z': 2}}",
    "a repr with bytes": "{{'a': 1, '{}': b'{} x', 'z': 2}}",
    "bytes": "b'a=1&{}={}&z=2'",
    "an argument": "call(a=1, {}='{}', z=2)",
    "a line": "a: 1\n{}: {}\nz: 2",
    "a URL": "GET https://openapi.alipay.com/gateway.do?a=1&{}={}&z=2 HTTP/1.1",
    "cut short": "a=1, z=2, {}='{}",
}
SECRET = "Zm9v%2Bgeheim"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_by_its_name_in_any_shape(name, shape):
    text = SHAPES[shape].format(name, SECRET)
    assert "geheim" in text
    said = redact(text)
    assert "geheim" not in said
    assert REDACTED in said
    assert name in said, "which field it was may be known"
    assert ("z" in said, "2" in said) == (True, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Authorization: Bearer geheim.x\nHost: a", f"Authorization: {REDACTED}\nHost: a"),
        ("proxy-authorization: Basic geheim=", f"proxy-authorization: {REDACTED}"),
        ("{'HTTP_AUTHORIZATION': 'Bearer geheim', 'HTTP_HOST': 'a'}",
         f"{{'HTTP_AUTHORIZATION': {REDACTED}, 'HTTP_HOST': 'a'}}"),
        ("Cookie: sessionid=geheim; csrftoken=geheim\nHost: a", f"Cookie: {REDACTED}\nHost: a"),
        ("Set-Cookie: x=geheim; Path=/", f"Set-Cookie: {REDACTED}"),
        ("b'authorization': b'Bearer geheim', b'host'", f"b'authorization': {REDACTED}, b'host'"),
        ("tried Bearer geheim+/=, then left", f"tried {REDACTED}, then left"),
        ("postgres://shop:geheim@10.0.0.5/coursepay", f"postgres://shop:{REDACTED}@10.0.0.5/coursepay"),
        ("redis://:geheim@10.0.0.5:6379/0", f"redis://:{REDACTED}@10.0.0.5:6379/0"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn00000.geheim_-x is old", f"{REDACTED} is old"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn00000. is unsigned", f"{REDACTED} is unsigned"),
        ('biz_content={"total_amount":"1.00","a":{"b":"geheim"}}&z=2', f"biz_content={REDACTED}&z=2"),
        ("'password': 'it\\'s geheim', 'z': 2", f"'password': {REDACTED}, 'z': 2"),
        ("password='correct geheim'", f"password={REDACTED}"),
        ("-----BEGIN PUBLIC KEY-----\\ngeheim\\n-----END PUBLIC KEY-----\\n, z", f"{REDACTED}\\n, z"),
        ("-----BEGIN RSA PRIVATE KEY-----\ngeheim\n(cut", REDACTED),
        ("the key is MII" + "geheim1+/" * 20 + "= here", f"the key is {REDACTED} here"),
    ],
)  # fmt: skip
def test_what_is_a_secret_by_its_shape(text, said):
    assert redact(text) == said


@pytest.mark.parametrize(
    "line",
    [
        "notify from 10.0.0.1 refused: bad_signature",
        "notify 2026112300222 for 20261123aB3 refused: signature was checked, amount differs",
        "sign_type=RSA2&charset=utf-8&version=1.0",
        "this design = good, assign: 4, resign=no",
        "the password was changed; 2 tokens ended",
        "https://shop.example.com:8443/pay/success?order=20261123",
        "https://openapi.alipay.com/gateway.do and somebody@example.com",
        "sha256 " + "0123456789abcdef" * 4,
        'Traceback (most recent call last):\n  File "/srv/shop/backend/status.py", line 3, in move_to\n    ~~~~^^^^',
    ],
)
def test_what_is_no_secret_stays(line):
    assert redact(line) == line


@pytest.mark.parametrize("word", ["sign='", "password=\\", "https://a:", "-----BEGIN A-----", "eyJ", '{"sign": {', "A"])
def test_nobody_can_make_it_slow(word):
    """A line of half a megabyte, made so that each beginning leads nowhere, is read about once."""
    steps = redact.__globals__["_SECRETS"].scanner(word * (500_000 // len(word)))
    assert sum(1 for _ in iter(steps.search, None)) >= 0


# --- Through the handlers of the project -----------------------------------------------------------------------------


@pytest.fixture
def handler():
    """The console's handler as the settings make it, writing to memory."""
    configurator = logging.config.DictConfigurator(copy.deepcopy(settings.LOGGING))
    rules, made = copy.deepcopy(settings.LOGGING), configurator.config
    for name, rule in rules["formatters"].items():
        made["formatters"][name] = configurator.configure_formatter(rule)
    for name, rule in rules["filters"].items():
        made["filters"][name] = configurator.configure_filter(rule)
    return configurator.configure_handler({**rules["handlers"]["console"], "stream": io.StringIO()})


@pytest.fixture
def told(handler, monkeypatch, canary_watch):
    """Logs, and gives what came out. The run's own hunt looks at records before they are redacted: not at these."""
    logger = logging.getLogger("coursepay.redaction")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [handler])

    def told(log):
        log(logger)
        return handler.stream.getvalue()

    return told


def raised(secret, cause=None):
    """An exception whose text, cause and notes have a secret in them."""
    try:
        try:
            raise ValueError(f"cause: password='{secret}'")
        except ValueError as error:
            error.add_note(f"note: token={secret}")
            raise RuntimeError(f"sign={secret}") from error
    except RuntimeError:
        return sys.exc_info()


@pytest.mark.parametrize(
    "log",
    [
        lambda logger: logger.error("sign=geheim"),
        lambda logger: logger.error("%s=%s", "sign", "geheim"),
        lambda logger: logger.error("%(sign)s %(all)s", {"sign": "", "all": {"password": "geheim"}}),
        lambda logger: logger.error("asked with %r", {"buyer_logon_id": "geheim", "biz_content": {"a": "geheim"}}),
        lambda logger: logger.error("failed", exc_info=raised("geheim")),
        lambda logger: logger.error(ValueError("token=geheim")),
    ],
    ids=["message", "args", "mapping", "repr", "traceback", "exception"],
)
def test_message_arguments_and_traceback(told, log):
    said = told(log)
    assert "geheim" not in said
    assert REDACTED in said
    assert "coursepay.redaction [-]" in said, "it is the project's own format"


def test_the_other_handlers_get_the_record_as_it_was(told):
    """Redaction is of the line, not of the record: who else listens, as the run's hunt does, sees what was logged."""
    records = []
    told(lambda logger: (logger.addFilter(lambda record: records.append(record) or True), logger.error("sign=%s", "x")))
    assert records[0].getMessage() == "sign=x"


def test_the_hunt_finds_none_of_its_canaries_in_what_comes_out(told):
    """Each secret of the run, in the shapes that our code has it in; the same watch finds them in the bare lines."""
    secrets, keys = planted(), [APP_KEY.read_text(), ALIPAY_PUBLIC_KEY.read_text()]
    lines = [f"{'password' if 'password' in name else 'secret_key'}='{text}'" for name, text in secrets.items()]
    lines += [*keys, *("".join(key.splitlines()[1:-1]) for key in keys), *map(repr, keys)]
    lines += ["authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn00000.c2lnbmF0dXJlc2ln", "sign=" + "A" * 344]
    bare, out = Watch(secrets), Watch(secrets)
    bare.look("\n".join(lines), "a line", IN_LOGS)
    assert {name.removesuffix(" in a line") for name in bare.seen} >= {*secrets, *IN_LOGS} - {"alipay_private_key.pem"}
    for line in lines:
        out.look(told(lambda logger, line=line: logger.error("%s", line)), "a line", IN_LOGS)
    assert out.seen == set()


def test_every_formatter_of_the_settings_redacts_and_every_handler_has_one():
    logging_settings = settings.LOGGING
    formatters = {name: one["class"] for name, one in logging_settings["formatters"].items()}
    assert set(formatters.values()) == {f"{Redacted.__module__}.{Redacted.__qualname__}"}
    assert all(handler["formatter"] in formatters for handler in logging_settings["handlers"].values())


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.error", "_granian", "celery", "django.server", "alipay"])
def test_the_servers_lines_go_through_our_handlers(name):
    """As the settings leave their loggers: with no handler of their own, and open towards the root."""
    rule = settings.LOGGING["loggers"].get(name, {"handlers": [], "propagate": True})
    assert (rule["handlers"], rule["propagate"]) == ([], True)
