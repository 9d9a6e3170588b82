"""Make standard input the controlling terminal of a new session, then become a program.

usage: python3 -I -S terminal.py PROGRAM [ARGUMENT ...]

Runs inside a bottle under any Python from 3.8 with nothing but the standard library. The terminal is a pair the host
made; without this step nobody inside would control it: no Ctrl-C, no word of a new size, no /dev/tty.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import termios

RESTORED = ("SIGINT", "SIGQUIT", "SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGTSTP", "SIGTTIN", "SIGTTOU")
NOT_FOUND, NOT_RUN = 127, 126


def control() -> None:
    """Leave the session we are in, and take the terminal for the one we begin."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for name in RESTORED:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def main(command: list[str]) -> int:
    if not command:
        sys.stderr.write("terminal: no program to run\n")
        return 2
    try:
        control()
    except OSError as error:
        sys.stderr.write("terminal: cannot be controlled from here: " + str(error.strerror) + "\n")
        return NOT_RUN
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list, as it was given
    except FileNotFoundError:
        sys.stderr.write("terminal: " + command[0] + ": command not found\n")
        return NOT_FOUND
    except OSError as error:
        sys.stderr.write("terminal: " + command[0] + ": " + str(error.strerror) + "\n")
        return NOT_RUN


if __name__ == "__main__":
    code = main(sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)
