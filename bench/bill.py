"""A day's bill of a million rows against as many payments: rows per second and peak memory.

`.venv/bin/python -m bench.bill [--rows 1000000]`. PostgreSQL is the run's own. The orders are made by SQL, the bill is
in the simulator's own format, and it comes over HTTP, by way of a signed answer, as any bill does. A handful of rows
differ: what they come to is checked.
"""

import argparse
import base64
import hashlib
import json
import logging
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from alipay_simulator.bill_archive import Flaws, write_archive
from alipay_simulator.bill_entries import Entry
from alipay_simulator.bill_period import parse_period
from alipay_simulator.bill_sheets import TradeSheet
from bench import other_tables, postgres, results
from bench.operations import SELLER_ID
from bench.setup import environment, new_key

DAY = date(2026, 11, 21)
BEGINS = "2026-11-21 00:00:00+08"
PRICE_FEN = 11700
HANDFUL = 5
"""Rows that differ, of each kind: the first payments are not paid here, the next are in no bill, the next differ."""
MEBIBYTE = 1024

FILL = f"""
SET statement_timeout = 0;
SET session_replication_role = replica;
INSERT INTO accounts_user (id, username, password, is_superuser, first_name, last_name, email, is_staff, is_active,
    date_joined, token_epoch) VALUES (1, 'bench', '', false, '', '', '', false, true, now(), 0);
INSERT INTO courses_course (id, name, summary, price_fen, on_sale) VALUES (1, 'Course', '', {PRICE_FEN}, true);
INSERT INTO orders_order (id, number, user_id, subject, total_fen, status, pay_type, basket_hash, created_at,
    expires_at, paid_at) SELECT n, '20261121' || lpad(n::text, 14, '0'), 1, '', {PRICE_FEN},
    CASE WHEN n <= {HANDFUL} THEN 'TIMED_OUT' ELSE 'PAID' END, 'ALIPAY', '', at, at + interval '30 minutes',
    CASE WHEN n > {HANDFUL} THEN at + interval '1 minute' END
    FROM (SELECT n, timestamptz '{BEGINS}' + n * interval '23 hours' / %(rows)s AS at
        FROM generate_series(1, %(rows)s) AS n) AS made;
INSERT INTO orders_orderline (order_id, course_id, name, price_fen, real_price_fen)
    SELECT n, 1, 'Course', {PRICE_FEN}, {PRICE_FEN} FROM generate_series(1, {HANDFUL}) AS n;
INSERT INTO payments_payment (order_id, provider, out_trade_no, trade_no, amount_fen, status, created_at, expires_at,
    paid_at, closed_at, times_asked, refunding_fen, refunded_fen, reported_refund_fen)
    SELECT id, 'alipay', md5(id::text), CASE WHEN id > {HANDFUL} THEN '2026112122001' || lpad(id::text, 15, '0') END,
    total_fen, CASE WHEN id > {HANDFUL} THEN 'PAID' ELSE 'CLOSED' END, created_at, expires_at, paid_at,
    CASE WHEN id <= {HANDFUL} THEN expires_at END, 0, 0, 0, 0 FROM orders_order ORDER BY id;
SET session_replication_role = origin;
RESET statement_timeout;
"""


@dataclass(frozen=True)
class Run:
    """What one comparison took; ``cpu_seconds`` without PostgreSQL's, memory in MiB, the process's own greatest."""

    rows: int
    seconds: float
    cpu_seconds: float
    before: float
    after: float
    found: dict[str, int]
    repaired: int


def main() -> None:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.bill", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the bill (1,000,000)")
    results.add_option(parser, "bill")
    options = parser.parse_args()
    for table in other_tables.bill(results.write("bill", options, vars(measure(options.rows)))):
        print(table.text())


def measure(rows: int) -> Run:
    """Compare a bill of so many rows. Ends the program where it comes to anything but what was planted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coursepay-bench-bill-")))
        alipay_key = new_key(folder / "alipay.pem", public=folder / "alipay_public.pem")
        new_key(folder / "app.pem")
        url = stack.enter_context(postgres.cluster(fsync=False))
        write_bill(folder / "bill.zip", rows)
        gateway = stack.enter_context(served(folder / "bill.zip", alipay_key))
        os.environ.update(environment(folder, url) | {"ALIPAY_GATEWAY_URL": gateway})
        os.environ["DJANGO_SETTINGS_MODULE"] = "backend.settings"
        return compare(rows)


def compare(rows: int) -> Run:
    import django

    django.setup()
    logging.disable()
    from django.core.management import call_command
    from django.db import connection

    from backend.payments.reconciliation import reconcile

    call_command("migrate", verbosity=0, skip_checks=True)
    fill(connection, rows)
    before, began, used = peak(), time.perf_counter(), time.process_time()
    summary = reconcile("alipay", DAY)
    seconds, cpu_seconds, after = time.perf_counter() - began, time.process_time() - used, peak()
    connection.close()
    connection.close_pool()
    found = {name: count for name, count in summary.found.items() if count}
    expected = dict.fromkeys(("missing here", "missing there", "amount differs", "unknown order"), HANDFUL)
    if found != expected or summary.repaired != HANDFUL or summary.payments != rows:
        raise SystemExit(f"bench: found {found}, repaired {summary.repaired}, in {summary.payments} rows")
    return Run(rows, seconds, cpu_seconds, before, after, found, summary.repaired)


def fill(connection: Any, rows: int) -> None:
    with connection.cursor() as cursor:
        for statement in filter(str.strip, FILL.split(";\n")):
            cursor.execute(statement, {"rows": rows} if "%(" in statement else None)
        cursor.execute("VACUUM ANALYZE")


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE


# --- The bill ---------------------------------------------------------------------------------------------------------


def write_bill(path: Path, rows: int) -> None:
    period = parse_period(str(DAY))
    sheet = TradeSheet(f"{SELLER_ID}0156", period, period.ready_at, quotes=False)
    with path.open("wb") as file:
        write_archive(file, sheet, entries(period.start, rows), Flaws())


def entries(start: float, rows: int) -> Iterator[Entry]:
    """Our payments but for a handful, some with another amount, and at the end as many that are not ours."""
    for n in range(1, rows + 1):
        if not HANDFUL < n <= 2 * HANDFUL:
            yield entry(n, start, rows, PRICE_FEN + (2 * HANDFUL < n <= 3 * HANDFUL))
    for n in range(rows + 1, rows + HANDFUL + 1):
        yield entry(n, start, rows, PRICE_FEN)


def entry(n: int, start: float, rows: int, amount_fen: int) -> Entry:
    at = start + n * 82800 / rows + 60
    return Entry(n, at, amount_fen, out_trade_no(n), trade_no(n), "Course", "", "buyer@example.com", at - 60)


def out_trade_no(n: int) -> str:
    return hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest()


def trade_no(n: int) -> str:
    return f"2026112122001{n:015d}"


# --- Alipay -----------------------------------------------------------------------------------------------------------


@contextmanager
def served(bill: Path, key: rsa.RSAPrivateKey) -> Iterator[str]:
    """A gateway's URL: it tells where the bill lies, and that each of the handful is paid."""
    numbers = {out_trade_no(n): trade_no(n) for n in range(1, HANDFUL + 1)}

    class Alipay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.begin(bill.stat().st_size)
            with bill.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            number = json.loads(form["biz_content"]).get("out_trade_no")
            if number is None:
                node = {"bill_download_url": f"http://127.0.0.1:{server.server_port}/bill.zip"}
            else:
                node = {"out_trade_no": number, "trade_no": numbers[number], "trade_status": "TRADE_SUCCESS"}
                node |= {"total_amount": "117.00", "send_pay_date": f"{DAY} 00:01:00"}
            answer = signed(form["method"], {"code": "10000", "msg": "Success", **node}, key)
            self.begin(len(answer))
            self.wfile.write(answer)

        def begin(self, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Alipay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/gateway.do"
        server.shutdown()


def signed(method: str, node: dict[str, str], key: rsa.RSAPrivateKey) -> bytes:
    text = json.dumps(node)
    sign = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    return f'{{"{method.replace(".", "_")}_response":{text},"sign":"{sign}"}}'.encode()


if __name__ == "__main__":
    main()
