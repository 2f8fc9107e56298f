#!/usr/bin/python3
"""Inside a machine of tests/vm: runs what the lab asks for, several commands at a time.

One JSON object a line, on the virtio-serial port `lab`:
  to us:   {"id": 1, "cmd": "...", "timeout": 60}              timeout: seconds; the whole process group is killed then
  from us: {"id": 1, "line": "..."}                            one a line of standard output, as it comes
           {"id": 1, "rc": 0, "err": "..."}                    the end; rc null: killed at the timeout
           {"hello": "BOOT ID"}                                at the start
"""

import json
import os
import signal
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/lab"
write_lock = threading.Lock()


def say(port, message):
    data = (json.dumps(message) + "\n").encode()
    with write_lock:
        while data:
            data = data[os.write(port, data):]


def drain(stream, keep):
    for line in stream:
        keep.append(line)
        del keep[:-200]


def run(port, request):
    number = request["id"]
    child = subprocess.Popen(
        ["/bin/bash", "-c", request["cmd"]],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"})
    late = threading.Event()

    def end():
        late.set()
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    timer = threading.Timer(request["timeout"], end)
    timer.start()
    err = []
    reader = threading.Thread(target=drain, args=(child.stderr, err), daemon=True)
    reader.start()
    for line in child.stdout:
        say(port, {"id": number, "line": line.decode("utf8", "replace").rstrip("\n")})
    rc = child.wait()
    timer.cancel()
    reader.join(1)
    say(port, {"id": number, "rc": None if late.is_set() else rc, "err": b"".join(err).decode("utf8", "replace")})


def main():
    while True:
        try:
            port = os.open(PORT, os.O_RDWR)
            break
        except OSError:
            time.sleep(0.05)
    with open("/proc/sys/kernel/random/boot_id") as f:
        say(port, {"hello": f.read().strip()})
    rest = b""
    while True:
        data = os.read(port, 65536)
        if not data:  # nobody is connected
            time.sleep(0.05)
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                threading.Thread(target=run, args=(port, json.loads(line)), daemon=True).start()


main()
