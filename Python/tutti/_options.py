"""How a communicator is made, as the library reads it."""

from __future__ import annotations

import ctypes
import os
from typing import Optional, Union

from ._arguments import nanoseconds
from ._enums import Bits, Transport, choose
from ._library import Options

_GIVEN, _PUBLISHED = 1, 2  # of tutti_secret


def join_options(
    transport: Union[Transport, str] = Transport.AUTO,
    secret: Union[bytes, str, None] = None,
    timeout: Optional[float] = None,
    join_timeout: Optional[float] = None,
    checks_strictly: bool = False,
    topology: Union[str, os.PathLike, None] = None,
    bits: Union[Bits, str] = Bits.ENVIRONMENT,
    tuning: Union[str, os.PathLike, None] = None,
    tls: bool = False,
) -> Options:
    """Returns the options of a join, from what its callers give."""
    key = secret.encode() if isinstance(secret, str) else secret
    if key is not None and not isinstance(key, bytes):
        raise TypeError("secret must be bytes or a str, or None for TUTTI_SECRET or TUTTI_SECRET_FILE")
    return Options(
        ctypes.sizeof(Options),
        choose(Transport, transport, "transport"),
        0 if key is None else _GIVEN,
        key,
        0 if key is None else len(key),
        nanoseconds(timeout),
        nanoseconds(join_timeout, "join_timeout"),
        bool(checks_strictly),
        None if topology is None else os.fsencode(topology),
        choose(Bits, bits, "bits"),
        None if tuning is None else os.fsencode(tuning),
        bool(tls),
    )


def publish_secret(options: Options) -> None:
    """Has rank 0 draw the secret and leave it in the store. Refused where one is given."""
    if options.secret_kind == _GIVEN:
        raise ValueError("a secret is given, and publishes_secret asks for a random one: choose one of them")
    options.secret_kind = _PUBLISHED
