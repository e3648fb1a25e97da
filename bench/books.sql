-- The books of a shop after :orders orders of :people buyers, 95 in 100 of the orders ended. See books.py.
SET statement_timeout = 0;
SET synchronous_commit = off;
SET session_replication_role = replica;

-- Buyers with five orders each, and a sign-in each; some have run out and wait to be cleared away.
INSERT INTO accounts_user (id, username, password, is_superuser, first_name, last_name, email, is_staff, is_active,
    date_joined, token_epoch)
SELECT n, 'reader' || n, '!', false, '', '', '', false, true, now() - interval '2 years', md5(n::text)::varchar(22)
FROM generate_series(1, :people) AS n;
INSERT INTO accounts_accesstoken (id, user_id, created_at, expires_at)
SELECT md5('token' || n)::varchar(22), n, now() - interval '6 hours', now() + interval '12 hours' * (n::float / :people - 0.01)
FROM generate_series(1, :people) AS n;
INSERT INTO courses_course (id, name, summary, price_fen, on_sale)
SELECT n, 'Course ' || n, repeat('What it is about. ', 20), 3900, true FROM generate_series(1, 100) AS n;

-- Orders of the last two years; the newest twentieth is of this half-hour and waits for its buyers.
INSERT INTO orders_order (id, number, user_id, subject, total_fen, status, pay_type, basket_hash, created_at, expires_at,
    paid_at)
SELECT n, to_char(at, 'YYYYMMDD') || lpad((abs(hashint8(n)::bigint) % 10000000)::text, 7, '0') || lpad(n::text, 7, '0'),
    1 + (n * 7919) % :people, 'Course ' || 1 + n % 100, 3900 * (1 + n % 3), status, 'ALIPAY',
    md5(n::text) || md5(n::text), at, at + interval '30 minutes', CASE WHEN status = 'PAID' THEN at + interval '1 minute' END
FROM (
    SELECT n,
        CASE WHEN n > 0.95 * :orders THEN now() - interval '25 minutes' * (:orders - n) / (0.05 * :orders)
        ELSE now() - interval '1 hour' - interval '730 days' * (0.95 * :orders - n) / (0.95 * :orders) END AS at,
        CASE WHEN n > 0.95 * :orders THEN 'UNPAID' WHEN n % 20 < 15 THEN 'PAID' WHEN n % 20 < 18 THEN 'TIMED_OUT'
        ELSE 'CANCELLED' END AS status
    FROM generate_series(1, :orders::bigint) AS n
) AS made;

-- One to three courses each.
INSERT INTO orders_orderline (order_id, course_id, name, price_fen, real_price_fen)
SELECT id, course, 'Course ' || course, 3900, 3900
FROM orders_order, LATERAL (SELECT 1 + (abs(hashint8(id)::bigint) + place) % 100 AS course
    FROM generate_series(0, id % 3) AS place) AS basket;
INSERT INTO orders_orderevent (order_id, name, at, detail)
SELECT id, 'order.created', created_at, '' FROM orders_order UNION ALL
SELECT id, 'order.' || lower(status), coalesce(paid_at, expires_at), '' FROM orders_order WHERE status <> 'UNPAID' UNION ALL
SELECT id, 'enrollment.opened', paid_at, '1 courses' FROM orders_order WHERE status = 'PAID';
INSERT INTO orders_idempotencykey (user_id, key, input_hash, order_id)
SELECT user_id, md5('key' || id), basket_hash, id FROM orders_order;

-- One attempt each; one paid order in a hundred was given back.
INSERT INTO payments_payment (id, order_id, provider, out_trade_no, trade_no, amount_fen, status, created_at, expires_at,
    paid_at, closed_at, asked_at, times_asked, next_query_at, refunding_fen, refunded_fen, reported_refund_fen, billed_on)
SELECT id, id, 'alipay', md5(id::text), CASE WHEN status = 'PAID' THEN '2025010122001' || lpad(id::text, 15, '0') END,
    total_fen, CASE status WHEN 'PAID' THEN 'PAID' WHEN 'UNPAID' THEN 'OPEN' ELSE 'CLOSED' END, created_at, expires_at,
    paid_at, CASE WHEN status IN ('TIMED_OUT', 'CANCELLED') THEN expires_at END, NULL, 0,
    CASE WHEN status = 'UNPAID' THEN now() + interval '2 hours' END, 0,
    CASE WHEN status = 'PAID' AND id % 100 = 0 THEN total_fen ELSE 0 END, 0, (paid_at AT TIME ZONE 'Asia/Shanghai')::date
FROM orders_order;
INSERT INTO payments_refund (order_id, payment_id, out_request_no, amount_fen, cause, reason, status, close_course_ids,
    created_at, ended_at, times_tried, provider_code, provider_message)
SELECT order_id, id, 'R' || id, amount_fen, 'STAFF', 'The buyer asked for it.', 'SUCCEEDED', '[]',
    paid_at + interval '1 day', paid_at + interval '1 day', 1, '10000', 'Success'
FROM payments_payment WHERE refunded_fen > 0;

-- Who takes part; what is given back is closed.
INSERT INTO courses_enrollment (user_id, course_id, line_id, opened_at, closed_at)
SELECT o.user_id, l.course_id, l.id, o.paid_at, CASE WHEN p.refunded_fen > 0 THEN o.paid_at + interval '1 day' END
FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id JOIN payments_payment p ON p.order_id = o.id
WHERE o.status = 'PAID' ORDER BY o.id ON CONFLICT DO NOTHING;

-- The inbox keeps every genuine notify, the outbox one month; a few notifies were forged.
INSERT INTO payments_notification (provider, body_sha256, body, body_length, sender, received_at, times_received,
    notify_id, out_trade_no, trade_status, verdict, reason, verified, handled_at)
SELECT 'alipay', md5('notify' || id) || md5(id::text), repeat('x', 900), 900, '110.75.0.1', paid_at, 1, 'notify' || id,
    out_trade_no, 'TRADE_SUCCESS', 'APPLIED', 'paid', true, paid_at FROM payments_payment WHERE status = 'PAID' UNION ALL
SELECT 'alipay', md5('forged' || id) || md5(id::text), 'forged', 6, '192.0.2.1', created_at, 1, '', '', '', 'REFUSED',
    'signature', false, created_at FROM orders_order WHERE id % 1000 = 0;
INSERT INTO events_event (key, name, order_number, body, created_at)
SELECT 'evt_' || md5(name || number), name, number, repeat('x', 500), at FROM (
    SELECT unnest(ARRAY['order.paid', 'enrollment.opened']) AS name, number, paid_at AS at FROM orders_order
    WHERE paid_at > now() - interval '30 days'
) AS told;
INSERT INTO events_delivery (event_id, url, status, since, times_tried, ended_at)
SELECT id, 'https://crm.example/events', 'DELIVERED', created_at, 1, created_at FROM events_event;
INSERT INTO events_attempt (delivery_id, at, status, outcome, took_ms)
SELECT id, since, 204, 'HTTP 204', 20 FROM events_delivery;

SELECT setval(pg_get_serial_sequence(named, 'id'), :orders) FROM unnest(ARRAY['orders_order', 'payments_payment'])
    AS named;
SELECT setval(pg_get_serial_sequence('accounts_user', 'id'), :people);
SELECT setval(pg_get_serial_sequence('courses_course', 'id'), 100);
SET session_replication_role = origin;
RESET synchronous_commit;
RESET statement_timeout;
