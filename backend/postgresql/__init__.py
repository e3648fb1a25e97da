"""Django's PostgreSQL backend, with a pool that does not ask the server about a connection that was just in use."""
