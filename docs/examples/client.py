#!/usr/bin/env python3
"""A small client of blitd: draws a gradient, captures the screen, compares.

It shows how a client in any language speaks the protocol (docs/protocol.md).
With --inline it sends no descriptor, as over a forwarded socket.
Python 3.9 or newer and Linux, nothing else.
"""

import fcntl
import mmap
import os
import socket
import struct
import sys

HELLO, REGION_CREATE, REGION_WRITE, REGION_READ = 0x01, 0x10, 0x12, 0x13
LAYER_CREATE, LAYER_CONFIGURE, DRAW, CAPTURE, SYNC = 0x20, 0x21, 0x30, 0x34, 0x35
WELCOME, DONE, DATA, SHOWN, REFUSED, FIRST_PULSE = 0x8001, 0x8002, 0x8003, 0x8004, 0x80FF, 0xC000
XRGB8888 = 0x34325258
MEMFD, HELD, READ_WRITE = 1, 3, 3
REGION, LAYER, SIDE = 1, 1, 256


def socket_path():
    users = os.environ.get("XDG_RUNTIME_DIR", "") + "/blitd/socket"
    return os.environ.get("BLITD_SOCKET") or (users if os.path.exists(users) else "/run/blitd/socket")


class Connection:
    def __init__(self, path, inline):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.serial = 0
        # A hello states one descriptor. To send none all the same asks for inline.
        body = struct.pack("<IHH32s", 0x74696C62, 1, 1, b"client.py")
        with open(os.devnull) as any_file:
            sent = [] if inline else [any_file.fileno()]
            welcome = self.request(HELLO, body, WELCOME, sent, stated=1)
        _, mode, _, _, _, _, _, _, _, self.carried = struct.unpack("<HBBIQQIIII", welcome)
        self.shared = mode == 1

    def request(self, kind, body, answer=DONE, descriptors=(), stated=0):
        """Sends a request, waits for its reply, and gives the reply's body."""
        self.serial += 1
        header = struct.pack("<IHBBQ", 16 + len(body), kind, stated, 10, self.serial)
        message = header + body
        try:
            # Descriptors go with the first byte, the rest of the bytes as they fit.
            sent = socket.send_fds(self.socket, [message], descriptors)
            self.socket.sendall(message[sent:])
        except (BrokenPipeError, ConnectionResetError):
            pass  # The daemon has closed. What is left to read may say why.
        while True:
            length, kind, _, _, serial = struct.unpack("<IHBBQ", self.receive(16))
            reply = self.receive(length - 16)
            if kind < FIRST_PULSE:  # Pulses answer nothing.
                break
        if kind == REFUSED:
            code, _ = struct.unpack_from("<II", reply)
            sys.exit(f"refused with error {code}: {reply[8:].decode()}")
        if (kind, serial) != (answer, self.serial):
            sys.exit(f"reply {kind:#x} to {serial} came instead of {answer:#x} to {self.serial}")
        return reply

    def receive(self, length):
        data = b""
        while len(data) < length:
            data += self.socket.recv(length - len(data)) or sys.exit("the daemon closed the connection")
        return data


class SharedRegion:
    """A memfd that both sides map."""

    def __init__(self, connection, size):
        descriptor = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, size)
        os.posix_fallocate(descriptor, 0, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.memory = mmap.mmap(descriptor, size)
        body = struct.pack("<IBBHQ", REGION, MEMFD, READ_WRITE, 0, size)
        connection.request(REGION_CREATE, body, DONE, [descriptor], stated=1)
        os.close(descriptor)

    def write(self, offset, data):
        self.memory[offset:offset + len(data)] = data

    def read(self, offset, length):
        return self.memory[offset:offset + length]


class HeldRegion:
    """Memory of the daemon's. Its bytes travel through the socket, in pieces."""

    def __init__(self, connection, size):
        self.connection = connection
        connection.request(REGION_CREATE, struct.pack("<IBBHQ", REGION, HELD, READ_WRITE, 0, size))

    def write(self, offset, data):
        step = self.connection.carried
        for at in range(0, len(data), step):
            head = struct.pack("<IIQ", REGION, 0, offset + at)
            self.connection.request(REGION_WRITE, head + data[at:at + step])

    def read(self, offset, length):
        step, data = self.connection.carried, b""
        while len(data) < length:
            piece = min(step, length - len(data))
            body = struct.pack("<IIQ", REGION, piece, offset + len(data))
            data += self.connection.request(REGION_READ, body, DATA)
        return data


def image(offset):
    """SIDE by SIDE pixels of the region: the image, one plane, three empty ones."""
    return struct.pack("<IIIIQ IIQ 48x", SIDE, SIDE, XRGB8888, 1, 0, REGION, 4 * SIDE, offset)


def run(inline):
    connection = Connection(socket_path(), inline)
    size = 4 * SIDE * SIDE
    # The first half of the region is drawn, the second is captured into.
    region = (SharedRegion if connection.shared else HeldRegion)(connection, 2 * size)
    # Bytes of XRGB8888: blue, green, red, and one that is ignored. A capture writes it as 255.
    gradient = b"".join(bytes((128, y, x, 255)) for y in range(SIDE) for x in range(SIDE))
    region.write(0, gradient)

    whole = struct.pack("<iiII", 0, 0, SIDE, SIDE)
    # On the first output, at (0, 0), with a high z; band 1, opacity 255, visible.
    connection.request(LAYER_CREATE, struct.pack("<IIiiIIiIBBBBI32s", LAYER, 0, 0, 0, SIDE, SIDE,
                                                 1000, XRGB8888, 1, 255, 1, 0, 0, b"gradient"))
    # No transform, filter 0, operator source, opacity 255; the source in 16.16 fixed point.
    connection.request(DRAW, struct.pack("<IBBBB IIII", LAYER, 0, 0, 0, 255, 0, 0, SIDE << 16, SIDE << 16)
                       + whole + image(0) + bytes(8))
    frame, _, _, reason = struct.unpack_from("<QQIB", connection.request(SYNC, bytes(8), SHOWN))
    # Subject 2 is an output, id 0 the first.
    connection.request(CAPTURE, struct.pack("<B3xI", 2, 0) + whole + image(size))

    captured = region.read(size, size)
    wrong = [i for i in range(0, size, 4) if captured[i:i + 4] != gradient[i:i + 4]]
    if wrong:
        y, x = divmod(wrong[0] // 4, SIDE)
        sys.exit(f"{len(wrong)} pixels differ, the first at ({x}, {y})")

    # Only its lower right quarter, as it is, in the top left corner: bits 64 (size) and 128 (crop) of what changes.
    half = SIDE // 2
    connection.request(LAYER_CONFIGURE, struct.pack("<III iii 8x II IIII", LAYER, 64 | 128, 0, 0, 0, 0, half, half,
                                                    half << 16, half << 16, half << 16, half << 16))
    connection.request(CAPTURE, struct.pack("<B3xI", 2, 0) + whole + image(size))
    captured = region.read(size, size)
    for y in range(half):
        at, start = 4 * SIDE * y, 4 * (SIDE * (half + y) + half)
        if captured[at:at + 4 * half] != gradient[start:start + 4 * half]:
            sys.exit(f"row {y} of the quarter differs")

    shown = f"shown in frame {frame}" if reason == 0 else f"not shown, reason {reason}"
    print(f"drawn and captured: {SIDE}x{SIDE} pixels equal, {shown}")


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--inline"]):
        sys.exit("usage: client.py [--inline]")
    try:
        run(inline=len(sys.argv) > 1)
    except OSError as error:
        sys.exit(f"{error.strerror} (the socket is {socket_path()})")
