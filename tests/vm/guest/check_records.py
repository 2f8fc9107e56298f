#!/usr/bin/python3
"""check_records.py FILE N: are the first N records of FILE there, byte by byte? Prints how many whole ones there are."""

import sys

from records import SIZE, record

file, wanted = sys.argv[1], int(sys.argv[2])
number = 0
with open(file, "rb") as f:
    while True:
        block = f.read(SIZE)
        if len(block) < SIZE:
            break
        number += 1
        if block != record(number):
            # After the last acknowledged record anything may be, whole or in part.
            if number > wanted:
                number -= 1
                break
            sys.exit(f"record {number} of {wanted} is not what was written: {block[:32]!r}")
if number < wanted:
    sys.exit(f"{number} records are there, {wanted} were acknowledged")
print(number)
