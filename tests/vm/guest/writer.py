#!/usr/bin/python3
"""Appends numbered records to a file, each one fsynced before it is acknowledged by a line with its number.

writer.py FILE ACKS [PAUSE]    goes on after the last whole record of FILE; acknowledgements are appended to ACKS; PAUSE: seconds
                               between two records, 0 if it is left out
check_records.py reads what it wrote.
"""

import os
import sys
import time

from records import SIZE, record

file, acks = sys.argv[1:3]
pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
data = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
ack = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
number = os.fstat(data).st_size // SIZE
os.lseek(data, number * SIZE, os.SEEK_SET)
while True:
    number += 1
    if os.write(data, record(number)) != SIZE:
        sys.exit(f"record {number} was not written as a whole")
    os.fsync(data)
    os.write(ack, b"%d\n" % number)
    time.sleep(pause)
