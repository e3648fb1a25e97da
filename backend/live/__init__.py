"""Changes of orders, told to the clients that wait for them. It knows numbers of orders, and nothing else of them.

    announce (on commit) → publishing → Redis or PostgreSQL → sources → hub → one waiter per client

On SQLite nothing is sent: a stream process reads the new rows of the orders' history instead. What a message fails to
tell, the sweep of `backend.schema.stream` finds.
"""

from backend.live.publishing import announce as announce
