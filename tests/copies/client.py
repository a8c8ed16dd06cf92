"""What pytest-xdist starts in place of a test process: ``python -I -S client.py ADDRESS -u -c LINE``.

It hands its pipes and the line to the process that copies itself, waits for the copy's end, and ends as that did.
Started by path: it imports the standard library only.
"""

import json
import os
import signal
import socket
import struct
import sys

NUMBER = struct.Struct("i")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the copy
    address, *argv = sys.argv[1:]
    status, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.connect(address)
        socket.send_fds(asking, [json.dumps({"line": argv[-1]}).encode()], [theirs, 0, 1, 2])
    for fd in (theirs, 0, 1):  # as long as they are open, nobody learns from them that the copy has ended
        os.close(fd)
    os.read(status, NUMBER.size)  # its number
    (code,) = NUMBER.unpack(os.read(status, NUMBER.size))
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
