"""The floor: a bare WSGI callable with the SQL and RSA work of the four operations, and no framework.

It is what the work itself costs in Python on this machine with this driver and this server. It checks only as much as
the SQL needs, so nobody could sell anything with it.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from psycopg import Connection
from psycopg_pool import ConnectionPool

from bench import floor_sql as sql

BEIJING = ZoneInfo("Asia/Shanghai")
FIRST_QUERY, MOST_OFTEN = timedelta(seconds=60), timedelta(seconds=5)
SECRET = os.environ["SECRET_KEY"].encode()


def private_key() -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(Path(os.environ["ALIPAY_APP_PRIVATE_KEY_FILE"]).read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def public_key() -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(Path(os.environ["ALIPAY_PUBLIC_KEY_FILES"]).read_bytes())
    assert isinstance(key, rsa.RSAPublicKey)
    return key


OUR_KEY, ALIPAY_KEY = private_key(), public_key()
POOL = ConnectionPool(
    os.environ["DATABASE_URL"], min_size=1, max_size=10, open=False, kwargs={"autocommit": True, "prepare_threshold": 2}
)


def create(body: bytes, token: str) -> bytes:
    asked = orjson.loads(body)["variables"]["input"]
    ids = [int(course_id) for course_id in asked["courseIds"]]
    now = datetime.now(UTC)
    expires_at = now + timedelta(seconds=1800)
    number, out_trade_no = f"{now:%Y%m%d}{secrets.randbelow(10**14):014d}", secrets.token_hex(16)
    basket_hash = hashlib.sha256(",".join(asked["courseIds"]).encode()).hexdigest()
    with POOL.connection() as db:
        user_id = signed_in(db, token)[1]
        with db.transaction():
            db.execute(sql.LOCK_BUYER, (user_id,)).fetchone()
            assert db.execute(sql.KEY, (asked["idempotencyKey"], user_id)).fetchone() is None
            courses = db.execute(sql.COURSES, (user_id, *ids)).fetchall()
            total = sum(course[3] for course in courses)
            assert total == int(asked["totalAmount"].replace(".", ""))
            assert not any(course[5] for course in courses)
            assert not db.execute(sql.OPEN_ORDERS, ("UNPAID", user_id, *ids)).fetchall()
            prices = [course[3] for course in courses]
            order = (number, user_id, "Course 1", total, "UNPAID", "ALIPAY", basket_hash, now, expires_at, None)
            lines = (ids, [course[1] for course in courses], prices, prices)
            key = (user_id, asked["idempotencyKey"], basket_hash)
            payment = ("alipay", out_trade_no, None, total, "OPEN", now, expires_at, None, None, now + FIRST_QUERY)
            db.execute(sql.INSERT_ALL, (*order, *lines, "order.created", now, "", *key, *payment)).fetchone()
    shown = {
        "id": number,
        "outTradeNo": out_trade_no,
        "totalAmount": yuan(total),
        "status": "UNPAID",
        "expiresAt": expires_at.isoformat(),
    }
    answer = {"order": shown, "payUrl": pay_url(out_trade_no, number, total, now, expires_at), "replayed": False}
    return orjson.dumps({"data": {"createOrder": answer}})


def with_lines(body: bytes, token: str) -> bytes:
    with POOL.connection() as db:
        order = order_of(db, body, token)
        lines = db.execute(sql.LINES, (order[0],)).fetchall()
    answer = {
        "id": order[1],
        "number": order[1],
        "status": order[5],
        "totalAmount": yuan(order[4]),
        "paidAt": order[10],
        "lines": [
            {
                "name": line[3],
                "price": yuan(line[4]),
                "realPrice": yuan(line[5]),
                "course": {"id": str(line[6]), "name": line[7]},
            }
            for line in lines
        ],
        "isTerminal": order[5] != "UNPAID",
        "nextPollAfterMs": max(2000, int((datetime.now(UTC) - order[8]).total_seconds() / 15 * 1000)),
    }
    return orjson.dumps({"data": {"order": answer}})


def minimal(body: bytes, token: str) -> bytes:
    with POOL.connection() as db:
        return orjson.dumps({"data": {"order": {"status": order_of(db, body, token)[5]}}})


def notify(body: bytes, token: str) -> bytes:
    fields = dict(parse_qsl(body.decode()))
    signed = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name not in ("sign", "sign_type"))
    ALIPAY_KEY.verify(base64.b64decode(fields["sign"]), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    now = datetime.now(UTC)
    paid_at = datetime.fromisoformat(fields["gmt_payment"]).replace(tzinfo=BEIJING)
    number, trade_no, status = fields["out_trade_no"], fields["trade_no"], fields["trade_status"]
    digest = hashlib.sha256(body).hexdigest()
    inbox = ("alipay", digest, body.decode(), len(body), "127.0.0.1", now, 1, fields["notify_id"], number, status)
    with POOL.connection() as db:
        kept = db.execute(sql.INSERT_NOTIFICATION, (*inbox, "RECEIVED", "", True, None)).fetchone()[0]  # type: ignore[index]
        with db.transaction():
            payment = db.execute(sql.LOCK_PAYMENT, (number,)).fetchone()
            assert payment is not None
            assert payment[4] == int(fields["total_amount"].replace(".", ""))
            moved = ("PAID", trade_no, paid_at, payment[0], "OPEN", "PAID", paid_at, payment[1], "UNPAID")
            db.execute(sql.PAY, moved)
            lines = db.execute(sql.LINE_IDS, (payment[1],)).fetchall()
            many = len(lines)
            courses, ids = [line[0] for line in lines], [line[1] for line in lines]
            db.execute(sql.OPEN_ACCESS, ([payment[13]] * many, courses, ids, [now] * many, [None] * many)).fetchall()
            tell(db, payment, lines, trade_no, now)
            db.execute(sql.MARK, ("APPLIED", "paid", now, kept))
    return b"success"


def tell(db: Connection[tuple[Any, ...]], payment: Any, lines: Any, trade_no: str, now: datetime) -> None:
    """The history, and the outbox: what other systems will be told of it."""
    number, user_id = payment[12], str(payment[13])
    told = [{"courseId": str(line[0]), "name": line[2], "price": yuan(line[3])} for line in lines]
    order = {"number": number, "userId": user_id, "status": "PAID", "totalAmount": yuan(payment[4]), "paidAt": now}
    paid = {"order": order, "tradeNo": trade_no, "lines": told}
    opened = {"userId": user_id, "orderNumber": number, "courseIds": [str(line[0]) for line in lines]}
    names, keys = ["order.paid", "enrollment.opened"], [f"evt_{secrets.token_hex(16)}" for _ in range(2)]
    bodies = [
        orjson.dumps({"id": key, "type": name, "createdAt": now.isoformat(), "data": data}).decode()
        for key, name, data in zip(keys, names, (paid, opened), strict=True)
    ]
    history = ([payment[1]] * 2, names, [now] * 2, [trade_no, f"{len(lines)} courses"])
    db.execute(sql.TELL, (*history, keys, names, [number] * 2, bodies, [now] * 2, [now] * 2))


def signed_in(db: Connection[tuple[Any, ...]], token: str) -> tuple[Any, ...]:
    """The token's row, its signature good: HS256, spelled out."""
    signed, _, signature = token.removeprefix("Bearer ").rpartition(".")
    assert hmac.compare_digest(unbase64(signature), hmac.digest(SECRET, signed.encode(), "sha256"))
    claims = orjson.loads(unbase64(signed.partition(".")[2]))
    row = db.execute(sql.TOKEN, (claims["jti"],)).fetchone()
    assert row is not None
    assert row[6] == claims["epoch"]
    return row


def order_of(db: Connection[tuple[Any, ...]], body: bytes, token: str) -> tuple[Any, ...]:
    user_id = signed_in(db, token)[1]
    row = db.execute(sql.ORDER, (user_id, orjson.loads(body)["variables"]["outTradeNo"])).fetchone()
    assert row is not None
    asked_at, due = row[11], row[12]
    now = datetime.now(UTC)
    if row[5] == "UNPAID" and due and due > now and (asked_at is None or asked_at <= now - MOST_OFTEN):
        db.execute(sql.ASK_SOON, (now, now, row[0], due))
    return row


def pay_url(out_trade_no: str, number: str, total: int, now: datetime, expires_at: datetime) -> str:
    """Signed as Alipay wants it."""
    content = {
        "out_trade_no": out_trade_no,
        "total_amount": yuan(total),
        "subject": f"课程订单 {number}",
        "product_code": "FAST_INSTANT_TRADE_PAY",
        "goods_type": "0",
        "time_expire": f"{expires_at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
    }
    fields = {
        "app_id": os.environ["ALIPAY_APP_ID"],
        "biz_content": orjson.dumps(content).decode(),
        "charset": "utf-8",
        "method": "alipay.trade.page.pay",
        "notify_url": "http://127.0.0.1:8000/payments/alipay/notify/",
        "return_url": "http://127.0.0.1:8000/pay/success",
        "sign_type": "RSA2",
        "timestamp": f"{now.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
        "version": "1.0",
    }
    signed = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    sign = base64.b64encode(OUR_KEY.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    return f"{os.environ['ALIPAY_GATEWAY_URL']}?{urlencode({**fields, 'sign': sign})}"


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


HANDLERS = {"/create": create, "/with_lines": with_lines, "/minimal": minimal, "/notify": notify}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI, and nothing more of it than this."""
    answer, media_type = b"ok", "text/plain"
    if handler := HANDLERS.get(environ["PATH_INFO"]):
        POOL.open()
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        answer = handler(body, environ.get("HTTP_AUTHORIZATION", ""))
        media_type = "text/plain" if handler is notify else "application/json"
    start_response("200 OK", [("Content-Type", media_type), ("Content-Length", str(len(answer)))])
    return [answer]
