"""Messages that Alipay did not send: a genuine notify, changed in every way that a forger, or a bad line, would.

Here is what a forger may have; what is made of it is in ``forging``. ``same_message`` judges what is no forgery at all:
another spelling of the same form.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.asymmetric import rsa

from backend.payments.models import Payment
from tests.settings import APP_KEY
from tests.shop import AlipaySide, load_key

NOTIFY, BOTH = "/payments/alipay/notify/", ("/payments/alipay/notify/", "/order/success/")
FORM = "application/x-www-form-urlencoded; text/html; charset=utf-8"
Fields = dict[str, str]
JUNK = (
    *("", " ", "0", "1", "-1", "0.01", "0.00", "1e2", "NaN", "None", "null", "true", "[]", "{}", "TRADE_SUCCESS"),
    *("TRADE_FINISHED", "TRADE_CLOSED", "156.00", "１５６.００", "x" * 65, "x" * 5000, "号", "a\x00b", "\x7f", "\r\n"),
    *("&total_amount=156.00", "x&out_trade_no=1", "' OR 1=1 --", "%s%n", "../../etc/passwd", "\ud7ff", "\U0001f600"),
)


@dataclass(frozen=True)
class Forged:
    """One request. ``signed``: by Alipay's own key, so what is wrong with it is what it says."""

    kind: str
    body: bytes
    path: str = NOTIFY
    content_type: str = FORM
    signed: bool = False


@dataclass
class Forger:
    """What a forger may have: genuine messages of these payments, keys that are not Alipay's, and time."""

    payments: list[Payment]
    alipay: AlipaySide = field(default_factory=AlipaySide)
    stranger: AlipaySide = field(default_factory=lambda: AlipaySide(key=rsa.generate_private_key(65537, 2048)))
    shop: AlipaySide = field(default_factory=lambda: AlipaySide(key=load_key(APP_KEY.read_text())))
    fields: list[Fields] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    returns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for payment in self.payments:
            form = self.alipay.paid_fields(payment)
            signed = {**form, "sign_type": "RSA2", "sign": self.alipay.sign(form)}
            self.fields.append(signed)
            self.bodies.append(urlencode(signed))
            self.returns.append(self.alipay.return_query(payment))


def same_message(body: bytes, genuine: Fields) -> bool:
    """Whether it is the genuine form, spelled another way: each name once, the same values, blanks left out."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        return False
    names = [name for name, _ in pairs]
    return len(set(names)) == len(names) and {name: value for name, value in pairs if value} == genuine


def encoded(pairs: list[tuple[str, str]] | Fields) -> bytes:
    return urlencode(pairs, errors="surrogatepass").encode()
