"""A network in which there is nothing but loopback: for this thread, and all that is started from it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # of an interface
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def alone() -> Iterator[None]:
    """A network namespace of its own with loopback up, until the end of the block. PermissionError where we may not.

    One thread has it, and the threads and processes that it starts meanwhile; every other thread keeps its own.
    """
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _called(_libc.unshare(NEW_NETWORK))
        try:
            _loopback_up()
            yield
        finally:
            _called(_libc.setns(before, NEW_NETWORK))
    finally:
        os.close(before)


@contextmanager
def permitted() -> Iterator[None]:
    """A test that may not do what is in the block is skipped, and says why."""
    try:
        yield
    except PermissionError as error:
        pytest.skip(f"only root may make a network that has no way out: {error}")


def ways_out() -> list[str]:
    """The interfaces but loopback, and the routes, that this thread has: nothing, where it is alone."""
    interfaces = [name for _, name in socket.if_nameindex() if name != "lo"]
    routes = Path("/proc/thread-self/net/route").read_text().splitlines()[1:]
    return interfaces + routes


def _called(answer: int) -> None:
    if answer:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        asked = fcntl.ioctl(one, GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", asked)[1]
        fcntl.ioctl(one, SET_FLAGS, struct.pack("16sH14x", b"lo", flags | UP))
