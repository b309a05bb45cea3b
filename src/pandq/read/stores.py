"""Where files lie that are not on this machine: addresses, who reads them, and what is refused."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_WEB = ("http", "https")
_DENIED = (401, 403)
# In the names of errors of a connection, whoever made it.
_LOST = ("Payload", "Disconnected", "Connection", "Connector", "Reset", "IncompleteRead")


def is_remote(path: object) -> bool:
    """Is this the address of something that is not on this machine?

    >>> is_remote("s3://bucket/a.parquet"), is_remote("a.parquet")
    (True, False)
    """
    return isinstance(path, str) and _SCHEME.match(path) is not None


def shown(url: str) -> str:
    """An address without what may be secret: user and password, and what is signed.

    >>> shown("https://me:word@host/a.csv?signature=abc")
    'https://host/a.csv'
    >>> shown("a.csv?")
    'a.csv?'
    """
    if not is_remote(url):
        return url
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    web = scheme.lower() in _WEB
    place = host if web or ":" in user else user + at + host
    if web or ("?" in path and "=" in path.partition("?")[2]):
        path = re.split(r"[?#]", path, maxsplit=1)[0]
    return f"{scheme}://{place}{slash}{path}"


def is_web(url: str) -> bool:
    """Is it on a web server?"""
    return url.partition("://")[0].lower() in _WEB


def system(url: str) -> tuple[Any, str]:
    """The file system of an address, and what it calls the file.

    Raises:
        InputError: no file system has such addresses.
        MissingLibraryError: the library that reads them is not installed.
    """
    try:
        import fsspec
    except ImportError:
        remedy = "Install it: pip install 'pandq[remote]'"
        msg = f"{shown(url)} needs fsspec, which is not installed. {remedy}"
        raise MissingLibraryError(msg) from None
    options: dict[str, Any] = {"use_listings_cache": False}
    if is_web(url):
        options |= {"headers": {"Accept-Encoding": "identity"}, "encoded": "%" in url}
    scheme = url.partition("://")[0]
    try:
        fs, path = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        msg = f"{scheme}:// needs a library that is not installed: {reason}"
        raise MissingLibraryError(msg) from None
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        remedy = "Known: s3, gs, az, hf, https, and what fsspec knows besides."
        what = f"nothing reads {scheme}://"
        raise InputError(what, where=shown(url), remedy=remedy) from None
    return fs, path


@contextmanager
def refusals(url: str) -> Iterator[None]:
    """What no second try would change, in one line without the words of the library.

    Those may hold a key or a signed address.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if _denied(error):
            scheme = shown(url).partition("://")[0]
            raise InputError(
                what="cannot be read or written: permission denied",
                where=shown(url),
                remedy=f"Credentials are those that the library of {scheme}:// finds.",
            ) from None
        told = error.__cause__ if is_web(url) and isinstance(error, FileNotFoundError) else None
        if told is not None and 404 not in _codes(error):
            # whatever went wrong with a web server fsspec calls a file that is not there
            raise told from None
        if isinstance(error, FileNotFoundError) or 404 in _codes(error):
            raise FileNotFoundError(2, "No such file") from None
        raise


@contextmanager
def said(url: str) -> Iterator[None]:
    """Whatever a store says when it is asked something, in one line.

    Raises:
        InputError: it refuses or cannot be reached.
    """
    try:
        with refusals(url):
            yield
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:  # noqa: BLE001 - each library has its own
        what = "cannot be reached"
        raise InputError(what, where=shown(url), got=reason_of(error)) from None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _codes(error: BaseException) -> set[int]:
    """The codes of HTTP in which an error began."""
    codes = set()
    for one in _chain(error):
        response = getattr(one, "response", None)
        about = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        told = (getattr(one, "status", None), getattr(response, "status_code", None))
        codes |= {code for code in (*told, about.get("HTTPStatusCode")) if isinstance(code, int)}
    return codes


def _denied(error: BaseException) -> bool:
    if any(isinstance(one, PermissionError) for one in _chain(error)):
        return True
    names = {type(one).__name__ for one in _chain(error)}
    return bool(_codes(error) & set(_DENIED)) or "NoCredentialsError" in names


def reason_of(error: BaseException) -> str:
    """What kind of error it was: its own words may hold a key."""
    codes = _codes(error)
    if codes:
        return f"HTTP {', '.join(map(str, sorted(codes)))}"
    if type(error) is EOFError:
        return str(error)
    name, number = type(error).__name__, getattr(error, "errno", None)
    if any(word in name for word in _LOST):
        return f"the connection was lost ({name})"
    return os.strerror(number) if isinstance(number, int) else name
