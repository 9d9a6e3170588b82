"""What runs inside a bottle: it listens where agents look for the gateway, and relays to the wire's
socket.
"""

from __future__ import annotations

from importlib import resources

FORWARDER_SOURCE: str = resources.files(__package__).joinpath("inside_forwarder.py").read_text("utf-8")
"""One file, standard library only, for any Python from 3.8: ``python3 -I -S FILE [options] [--] COMMAND
…``.
"""
