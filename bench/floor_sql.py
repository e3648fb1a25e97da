"""The floor's SQL: each statement that the backend sends, as `.venv/bin/python -m bench.statements` shows both."""

_ORDER = (
    "o.id, o.number, o.user_id, o.subject, o.total_fen, o.status, o.pay_type, o.basket_hash, o.created_at,"
    " o.expires_at, o.paid_at"
)

TOKEN = (
    "SELECT t.id, t.user_id, u.id, u.username, u.is_staff, u.is_active, u.token_epoch FROM accounts_accesstoken t"
    " JOIN accounts_user u ON t.user_id = u.id WHERE t.id = %s ORDER BY t.id LIMIT 1"
)

# createOrder
LOCK_BUYER = "SELECT id FROM accounts_user WHERE id = %s LIMIT 21 FOR NO KEY UPDATE"
KEY = (
    f"SELECT k.id, k.user_id, k.key, k.input_hash, k.order_id, {_ORDER} FROM orders_idempotencykey k"
    " JOIN orders_order o ON k.order_id = o.id WHERE k.key = %s AND k.user_id = %s ORDER BY k.id LIMIT 1"
)
COURSES = (
    "SELECT id, name, summary, price_fen, on_sale, EXISTS(SELECT 1 FROM courses_enrollment e WHERE e.closed_at IS NULL"
    " AND e.course_id = c.id AND e.user_id = %s LIMIT 1) FROM courses_course c WHERE on_sale AND id IN (%s, %s, %s)"
    " ORDER BY id"
)
OPEN_ORDERS = (
    f"SELECT DISTINCT {_ORDER} FROM orders_order o JOIN orders_orderline l ON o.id = l.order_id"
    " WHERE o.status = %s AND o.user_id = %s AND l.course_id IN (%s, %s, %s) ORDER BY o.id DESC"
)
INSERT_ALL = (
    "WITH o AS (INSERT INTO orders_order (number, user_id, subject, total_fen, status, pay_type, basket_hash,"
    " created_at, expires_at, paid_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id),"
    " l AS (INSERT INTO orders_orderline (order_id, course_id, name, price_fen, real_price_fen) SELECT o.id, n.*"
    " FROM o, UNNEST((%s)::bigint[], (%s)::varchar[], (%s)::bigint[], (%s)::bigint[]) AS n),"
    " e AS (INSERT INTO orders_orderevent (order_id, name, at, detail) VALUES ((SELECT id FROM o), %s, %s, %s)),"
    " k AS (INSERT INTO orders_idempotencykey (user_id, key, input_hash, order_id)"
    " VALUES (%s, %s, %s, (SELECT id FROM o)))"
    " INSERT INTO payments_payment (order_id, provider, out_trade_no, trade_no, amount_fen, status, created_at,"
    " expires_at, paid_at, closed_at, times_asked, next_query_at, refunding_fen, refunded_fen, reported_refund_fen)"
    " VALUES ((SELECT id FROM o), %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, %s, 0, 0, 0) RETURNING order_id"
)

# Order status
ORDER = (
    f"SELECT {_ORDER}, p.asked_at, p.next_query_at FROM orders_order o JOIN payments_payment p ON o.id = p.order_id"
    " WHERE o.user_id = %s AND p.out_trade_no = %s ORDER BY o.id LIMIT 1"
)
ASK_SOON = (
    "UPDATE payments_payment SET next_query_at = %s, asked_at = %s WHERE order_id = %s AND status = 'OPEN'"
    " AND next_query_at = %s"
)
LINES = (
    "SELECT l.id, l.order_id, l.course_id, l.name, l.price_fen, l.real_price_fen, c.id, c.name, c.summary,"
    " c.price_fen, c.on_sale FROM orders_orderline l JOIN courses_course c ON l.course_id = c.id"
    " WHERE l.order_id IN (%s) ORDER BY l.id"
)

# Notify
INSERT_NOTIFICATION = (
    "INSERT INTO payments_notification (provider, body_sha256, body, body_length, sender, received_at, times_received,"
    " notify_id, out_trade_no, trade_status, verdict, reason, verified, handled_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (body_sha256) DO UPDATE SET times_received = payments_notification.times_received + 1,"
    " verified = payments_notification.verified OR EXCLUDED.verified RETURNING id"
)
LOCK_PAYMENT = (
    "SELECT p.id, p.order_id, p.provider, p.out_trade_no, p.amount_fen, p.trade_no, p.status, p.created_at,"
    f" p.expires_at, p.paid_at, p.closed_at, {_ORDER} FROM payments_payment p"
    " JOIN orders_order o ON p.order_id = o.id WHERE p.out_trade_no = %s ORDER BY p.id LIMIT 1"
    " FOR NO KEY UPDATE OF o, p"
)
PAY = (
    "WITH p AS (UPDATE payments_payment SET status = %s, trade_no = %s, paid_at = %s, next_query_at = NULL"
    " WHERE id = %s AND status = %s)"
    " UPDATE orders_order SET status = %s, paid_at = %s WHERE id = %s AND status = %s"
)
LINE_IDS = "SELECT course_id, id, name, price_fen, real_price_fen FROM orders_orderline WHERE order_id = %s ORDER BY 1"
OPEN_ACCESS = (
    "INSERT INTO courses_enrollment (user_id, course_id, line_id, opened_at, closed_at) SELECT * FROM"
    " UNNEST((%s)::bigint[], (%s)::bigint[], (%s)::bigint[], (%s)::timestamptz[], (%s)::timestamptz[])"
    " ON CONFLICT DO NOTHING RETURNING course_id"
)
TELL = (
    "WITH h AS (INSERT INTO orders_orderevent (order_id, name, at, detail) SELECT * FROM"
    " UNNEST((%s)::bigint[], (%s)::varchar[], (%s)::timestamptz[], (%s)::varchar[]))"
    " INSERT INTO events_event (key, name, order_number, body, created_at, dispatch_at) SELECT * FROM"
    " UNNEST((%s)::varchar[], (%s)::varchar[], (%s)::varchar[], (%s)::text[], (%s)::timestamptz[], (%s)::timestamptz[])"
)
MARK = "UPDATE payments_notification SET verdict = %s, reason = %s, handled_at = %s, verified = true WHERE id = %s"
