"""Addresses as people may see them."""

from urllib.parse import urlsplit


def shown(uri: str) -> str:
    """Return an address without what may be secret in it: a password, a signed query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri
    if parts.scheme not in {"http", "https"}:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?...' if parts.query else ''}"


def without_password(uri: str) -> str:
    """Return an address of any scheme without user and password."""
    scheme, separator, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
