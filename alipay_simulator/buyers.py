"""Buyers of the sandbox: any account name is one; its number follows from the name."""

import hashlib


def buyer_id(account: str) -> str:
    """Return the 16 digits (2088…) of an account, the same every time."""
    number = int.from_bytes(hashlib.sha256(account.encode()).digest()[:8], "big") % 10**12
    return f"2088{number:012d}"


def masked(account: str) -> str:
    """Return what a merchant may see: `buy***@example.com`, `137****2600`."""
    name, at, domain = account.partition("@")
    if not at and len(name) == 11 and name.isdigit():
        return f"{name[:3]}****{name[-4:]}"
    return f"{name[:3]}***{at}{domain}"
