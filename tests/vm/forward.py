"""forward.py FILE: joins standard input and output with the port of 127.0.0.1 that is in FILE. QEMU runs it for each
connection of a machine to the witness; without FILE there is no witness, and the connection ends."""

import os
import socket
import sys
import threading


def copy(read, write, end):
    try:
        while data := read(65536):
            write(data)
    except OSError:
        pass
    end()


with open(sys.argv[1]) as file:
    witness = socket.create_connection(("127.0.0.1", int(file.read())))


def to_machine(data):
    while data:
        data = data[os.write(1, data):]


threading.Thread(target=copy, args=(lambda n: os.read(0, n), witness.sendall, lambda: witness.shutdown(socket.SHUT_WR)),
                 daemon=True).start()
copy(witness.recv, to_machine, lambda: None)
