#!/usr/bin/python3
"""client.py ADDRESS: a client of PostgreSQL that inserts one row after the other, and prints the number of each one that
was committed. When it fails, it connects anew and goes on."""

import itertools
import socket
import struct
import sys
import time


class Session:
    def __init__(self, address):
        self.socket = socket.create_connection((address, 5432), timeout=1)
        self.socket.settimeout(5)
        body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.until_ready()

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise OSError("the server has closed the connection")
            data += part
        return data

    def until_ready(self):
        while True:
            kind, length = struct.unpack("!cI", self.exactly(5))
            body = self.exactly(length - 4)
            if kind == b"E":
                raise OSError(body.decode("utf8", "replace"))
            if kind == b"Z":
                return

    def query(self, text):
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        self.until_ready()


session = None
for number in itertools.count(1):
    while True:
        try:
            session = session or Session(sys.argv[1])
            session.query(f"insert into lab values ({number}) on conflict do nothing")
            print(number, flush=True)
            break
        except OSError:
            session = None
            time.sleep(0.05)
    time.sleep(0.02)
