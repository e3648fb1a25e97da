"""The kinds of forged messages: each a function from a source of chance, what a forger may have, and which of the
genuine messages it begins with, to a body; ``Forged`` where the rest of the request is not as always."""

import base64
from collections.abc import Callable
from random import Random
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from torture.forgeries import BOTH, FORM, JUNK, Forged, Forger, encoded, same_message


def forge(forger: Forger, luck: Random) -> Forged | None:
    """One message; None where chance has made the genuine one again."""
    which = luck.randrange(len(forger.payments))
    kind = luck.choice(KINDS)
    made = kind(luck, forger, which)
    forged = made if isinstance(made, Forged) else Forged(kind.__name__, made)
    spelled_anew = not forged.signed and forged.content_type == FORM
    return None if spelled_anew and same_message(forged.body, forger.fields[which]) else forged


# --- The content, under the genuine signature -------------------------------------------------------------------------


def value_changed(luck: Random, forger: Forger, which: int) -> bytes:
    name = luck.choice(list(forger.fields[which]))
    return encoded(forger.fields[which] | {name: luck.choice(JUNK)})


def digit_changed(luck: Random, forger: Forger, which: int) -> bytes:
    """The smallest lie: one character of one value."""
    name = luck.choice([name for name, value in forger.fields[which].items() if value])
    value = forger.fields[which][name]
    place = luck.randrange(len(value))
    other = luck.choice("0123456789abcXYZ.")
    return encoded(forger.fields[which] | {name: value[:place] + other + value[place + 1 :]})


def another_order(luck: Random, forger: Forger, which: int) -> bytes:
    """The number, or everything but the signature, of another payment."""
    other = forger.fields[(which + 1) % len(forger.fields)]
    names = luck.choice((["out_trade_no"], ["sign"], ["out_trade_no", "total_amount"], ["trade_no", "out_trade_no"]))
    return encoded(forger.fields[which] | {name: other[name] for name in names})


def field_dropped(luck: Random, forger: Forger, which: int) -> bytes:
    gone = set(luck.sample(list(forger.fields[which]), luck.choice((1, 1, 2, 5))))
    return encoded({name: value for name, value in forger.fields[which].items() if name not in gone})


def field_added(luck: Random, forger: Forger, which: int) -> bytes:
    name = luck.choice(("refund_fee", "out_biz_no", "gmt_refund", "gmt_close", "passback_params", "extra", "a b", "号"))
    return encoded(forger.fields[which] | {name: luck.choice(JUNK) or "x"})


def field_renamed(luck: Random, forger: Forger, which: int) -> bytes:
    name = luck.choice(list(forger.fields[which]))
    other = luck.choice((name.upper(), name + "[]", name + " ", " " + name, name + "\x00", "x_" + name, "sign"))
    return encoded([(other if n == name else n, v) for n, v in forger.fields[which].items()])


# --- The signature ----------------------------------------------------------------------------------------------------


def other_key(luck: Random, forger: Forger, which: int) -> bytes:
    signer = luck.choice((forger.stranger, forger.shop))
    changes = luck.choice(({}, {"total_amount": "0.01"}, {"trade_status": "TRADE_FINISHED"}))
    form = {n: v for n, v in (forger.fields[which] | changes).items() if n not in ("sign", "sign_type")}
    return signer.signed(form).encode()


def other_scheme(luck: Random, forger: Forger, which: int) -> bytes:
    """Alipay's own key in ways it is not used: SHA-1, other digests, PSS, the text in another order or encoding."""
    form = {n: v for n, v in forger.fields[which].items() if n not in ("sign", "sign_type")}
    text = "&".join(f"{name}={form[name]}" for name in sorted(form))
    pss, plain = padding.PSS(padding.MGF1(hashes.SHA256()), 32), padding.PKCS1v15()
    unsorted = "&".join(f"{name}={form[name]}" for name in sorted(form, reverse=True))
    with_type = "&".join(f"{name}={value}" for name, value in sorted({**form, "sign_type": "RSA2"}.items()))
    content, how, digest = luck.choice(
        (
            (text.encode(), plain, hashes.SHA1()),
            (text.encode(), plain, hashes.SHA512()),
            (text.encode(), pss, hashes.SHA256()),
            (text.encode("gb18030"), plain, hashes.SHA256()),
            (unsorted.encode(), plain, hashes.SHA256()),
            (with_type.encode(), plain, hashes.SHA256()),
            (urlencode(sorted(form.items())).encode(), plain, hashes.SHA256()),
            (b"", plain, hashes.SHA256()),
        )
    )
    sign = base64.b64encode(forger.alipay.key.sign(content, how, digest)).decode()
    return encoded({**form, "sign_type": luck.choice(("RSA2", "RSA")), "sign": sign})


def sign_spoilt(luck: Random, forger: Forger, which: int) -> bytes:
    good = forger.fields[which]["sign"]
    raw = bytearray(base64.b64decode(good))
    raw[luck.randrange(len(raw))] ^= 1 << luck.randrange(8)
    place = luck.randrange(1, len(good) - 1)
    other = luck.choice(
        (
            *(base64.b64encode(raw).decode(), good[:place], good[place:], good + good, good.lower(), good[::-1]),
            *(good[:place] + " " + good[place:], good[:place] + "\n" + good[place:], good.rstrip("="), good + "="),
            *("=" + good, base64.urlsafe_b64encode(bytes(raw)).decode(), base64.b64encode(bytes(256)).decode(), "A"),
            *("", "None", "sign", base64.b64encode(b"\xff" * 256).decode(), bytes(raw).hex(), "A" * 8000),
        )
    )
    return encoded(forger.fields[which] | {"sign": other})


def sign_type_changed(luck: Random, forger: Forger, which: int) -> bytes:
    kind = luck.choice(("RSA", "rsa2", "RSA2 ", "HMAC", "MD5", "none", "", "RSA256", "RSA2,RSA"))
    return encoded(forger.fields[which] | {"sign_type": kind})


# --- More than one reading --------------------------------------------------------------------------------------------


def duplicated(luck: Random, forger: Forger, which: int) -> bytes:
    """A name twice, so that one reader takes the first and another the last."""
    name = luck.choice(list(forger.fields[which]))
    pairs = list(forger.fields[which].items())
    pairs.insert(luck.randrange(len(pairs) + 1), (name, luck.choice((*JUNK, forger.fields[which][name]))))
    return encoded(pairs)


def divided_anew(luck: Random, forger: Forger, which: int) -> bytes:
    """The signed text cut into fields at other places: some fields in the value, or in the name, of another."""
    form = {n: v for n, v in forger.fields[which].items() if n not in ("sign", "sign_type")}
    pieces = [f"{name}={form[name]}" for name in sorted(form)]
    cuts = set(luck.sample(range(1, len(pieces)), luck.randrange(len(pieces) - 1)))
    runs: list[list[str]] = [[pieces[0]]]
    for place, piece in enumerate(pieces[1:], 1):
        if place in cuts:
            runs.append([piece])
        else:
            runs[-1].append(piece)
    pairs = [split_at("&".join(run), luck) for run in runs]
    return encoded([*pairs, ("sign_type", "RSA2"), ("sign", forger.fields[which]["sign"])])


def split_at(text: str, luck: Random) -> tuple[str, str]:
    """One name and one value out of a run of the text: at any of its equals signs."""
    places = [place for place, letter in enumerate(text) if letter == "="]
    place = luck.choice(places)
    return text[:place], text[place + 1 :]


def signed_with_two_readings(luck: Random, forger: Forger, which: int) -> Forged:
    """One fen was paid under a subject that holds the true price: Alipay signed it, and it reads as paid in full."""
    payment = forger.payments[which]
    true = forger.fields[which]["total_amount"]
    subject = f"x&total_amount={true}&total_b=q"
    paid = forger.alipay.paid_fields(payment, subject=subject, total_amount="0.01")
    sign = forger.alipay.sign(paid)
    divided = dict(paid, subject="x", total_amount=true, total_b="q&total_amount=0.01")
    form = luck.choice((paid, divided))
    body = encoded({**form, "sign_type": "RSA2", "sign": sign})
    return Forged("signed_with_two_readings", body, luck.choice(BOTH), signed=True)


# --- The bytes --------------------------------------------------------------------------------------------------------


def bytes_changed(luck: Random, forger: Forger, which: int) -> bytes:
    body = bytearray(forger.bodies[which].encode())
    for _ in range(luck.choice((1, 1, 1, 2, 3, 10))):
        place = luck.randrange(len(body))
        body[place : place + luck.choice((0, 1, 1, 1, 2))] = bytes([luck.randrange(256)])
    return bytes(body)


def cut_off(luck: Random, forger: Forger, which: int) -> bytes:
    body = forger.bodies[which].encode()
    place = luck.randrange(len(body))
    return luck.choice((body[:place], body[place:], body[:place] + body))


def two_in_one(luck: Random, forger: Forger, which: int) -> bytes:
    other = forger.bodies[(which + 1) % len(forger.bodies)]
    return luck.choice(("&", ";", "\n", "")).join((forger.bodies[which], other)).encode()


def other_encoding(luck: Random, forger: Forger, which: int) -> Forged:
    """The genuine fields, said in a way that is not Alipay's."""
    fields = forger.fields[which]
    text = forger.bodies[which]
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    quoted = quote(text)
    body, content_type = luck.choice(
        (
            (text.encode("utf-16"), FORM),
            ((parts + "--x--\r\n").encode(), "multipart/form-data; boundary=x"),
            (text.encode(), "application/x-www-form-urlencoded; charset=gbk"),
            (text.encode(), "application/x-www-form-urlencoded; charset=utf-7"),
            (quoted.encode(), FORM),
            (text.replace("&", ";").encode(), FORM),
            (text.replace("=", "%3D").encode(), FORM),
            (b"\xef\xbb\xbf" + text.encode(), FORM),
        )
    )
    return Forged("other_encoding", body, luck.choice(BOTH), content_type)


def in_the_url(luck: Random, forger: Forger, which: int) -> Forged:
    """A body that says nothing, and all of it in the query string."""
    body = luck.choice((b"", b"a=1", forger.bodies[which][:100].encode()))
    return Forged("in_the_url", body, f"{luck.choice(BOTH)}?{forger.bodies[which]}")


# --- Other messages of Alipay's ---------------------------------------------------------------------------------------


def return_posted(luck: Random, forger: Forger, which: int) -> Forged:
    """The return is signed by the same key, and says nothing of money; dressed up as a notify, or as it is."""
    dress = {"notify_type": "trade_status_sync", "notify_id": "1", "trade_status": "TRADE_SUCCESS"}
    some = dict(luck.sample(list(dress.items()), luck.randrange(4)))
    tail = f"&{urlencode(some)}" if some else ""
    return Forged("return_posted", (forger.returns[which] + tail).encode(), luck.choice(BOTH))


def signed_for_another(luck: Random, forger: Forger, which: int) -> Forged:
    """Signed by Alipay, and not about this: another app, seller, amount, order, kind or status."""
    changes = luck.choice(
        (
            {"app_id": "9021000199999999"},
            {"seller_id": "2088199999999999"},
            {"total_amount": luck.choice(("0.01", "0.00", "99999999.99", "156.0", "1e2", "-156.00", "１５６.００"))},
            {"out_trade_no": luck.choice(("0" * 32, "x", "号", forger.fields[which]["out_trade_no"].upper() + "A"))},
            {"notify_type": luck.choice(("trade_status_async", "batch_refund_notify"))},
            {"trade_status": luck.choice(("TRADE_PAID", "trade_success", "WAIT", "1"))},
        )
    )
    body = forger.alipay.paid_notify(forger.payments[which], **changes)
    return Forged("signed_for_another", body.encode(), luck.choice(BOTH), signed=True)


Kind = Callable[[Random, Forger, int], bytes | Forged]
KINDS: tuple[Kind, ...] = (
    *(value_changed, digit_changed, another_order, field_dropped, field_added, field_renamed, sign_spoilt),
    *(sign_type_changed, duplicated, divided_anew, bytes_changed, cut_off, two_in_one, other_encoding, in_the_url),
    *(return_posted, other_key, other_scheme, signed_with_two_readings, signed_for_another),
)
