"""DRBD on the pair: set up, looked at, and steered by hand with drbdadm."""

import re

from lab import PATIENCE, Failed, at_once, wait

FILE = "/srv/data/records"
ACKS = "/run/acks"
DISK = "/dev/lab/r0"
# Kept small: a crashed primary's whole activity log is copied, which is more than this.
SIZE = "96M"


FENCING = "fencing resource-only;"
# No write is done before the handler has answered.
FREEZING = "fencing resource-and-stonith;"
# A slow copy has to last longer than what is done beside it, which takes emulated machines several times as long.
SLOW, QUICK = f"resync-rate {1024 // PATIENCE}K; c-plan-ahead 0;", "resync-rate 40M; c-plan-ahead 0;"


def configure(machines, disk=QUICK, size=SIZE, fencing=FENCING):
    """The resource r0 on a logical volume, as `tandemadm data config` writes it, with empty metadata. `disk`: options of the
    section of that name; the rate of a resync, usually."""
    hosts = "--host alpha=198.51.100.1 --host bravo=198.51.100.2"
    text = machines[0].sh(f"tandemadm data config r0 {hosts} --disk {DISK} --drbd 8.4")
    for m in machines:
        m.write("/etc/drbd.d/r0.res", text.replace(FENCING, f"{fencing} {disk}") + "\n")
    at_once(machines, f"vgcreate -q -y lab /dev/vdb && lvcreate -q -y -L {size} -n r0 lab"
                      " && modprobe drbd && drbdadm --force create-md r0", timeout=60)


def up(machines):
    at_once(machines, "drbdadm up r0")
    for m in machines:
        wait(f"{m.name} to be connected", lambda m=m: proc(m).get("cs") == "Connected")


def prepare(machines, disk=QUICK, size=SIZE, tree="", fencing=FENCING):
    """In step on both sides without a sync, with an ext4 that has what the shell commands in `tree` make in it; then
    down again, as tandemd finds it at its first start."""
    configure(machines, disk, size, fencing)
    up(machines)
    first = machines[0]
    first.sh("drbdadm -- --clear-bitmap new-current-uuid r0/0")
    wait("both to be UpToDate", lambda: proc(first).get("ds") == "UpToDate/UpToDate")
    first.sh("drbdadm primary r0 && mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard /dev/drbd0", timeout=60)
    if tree:
        first.sh(f"mount /dev/drbd0 /srv/data && cd /srv/data && {tree}", timeout=120)
        first.sh("umount /srv/data")
    first.sh("drbdadm secondary r0")
    for m in machines:
        m.sh("drbdadm down r0")


def proc(machine):
    """The line of minor 0 in /proc/drbd: cs, ro, ds, and the counters; empty if it is not configured. `done`: percent
    of a running sync."""
    text = machine.sh("cat /proc/drbd 2>/dev/null || true")
    line = re.search(r"^ 0: (.*)$", text, re.M)
    if not line:
        return {}
    found = dict(word.split(":", 1) for word in line.group(1).split() if ":" in word)
    found.update(re.findall(r"\b(ns|nr|dw|dr|oos):(\d+)", text))
    done = re.search(r"sync'ed:\s*([\d.]+)%", text)
    if done:
        found["done"] = float(done.group(1))
    return found


def writer(machine):
    """Writes records, by hand; the Stream has a line for each that was acknowledged."""
    machine.stream(f"exec /lab/writer.py {FILE} {ACKS}")
    return acknowledged(machine)


def acknowledged(machine):
    """What a writer on the machine acknowledges, as it does."""
    return machine.stream(f"touch {ACKS}; exec tail -n +1 -F {ACKS}", timeout=3600)


def some_writes(stream, number=50):
    """Waits until so many further records are acknowledged."""
    goal = len(stream.lines) + number
    wait(f"{number} records to be written", lambda: len(stream.lines) >= goal, 60)


def last(stream):
    """The number of the last acknowledged record that has reached us."""
    return int(stream.lines[-1]) if stream.lines else 0


def verify_records(machine, number):
    """Every acknowledged record is there, byte by byte; returns how many whole ones are."""
    return int(machine.sh(f"/lab/check_records.py {FILE} {number}", timeout=60))


def promote_by_hand(machine, limit=30):
    """What an operator types on the standby."""
    def primary():
        result = machine.run("drbdadm primary r0 2>&1")
        if result.rc != 0:
            raise Failed(result.out)
        return True
    wait("drbdadm primary to succeed", primary, limit, 0.2)
    machine.sh("mount /dev/drbd0 /srv/data")


def demote_by_hand(machine):
    machine.sh("umount /srv/data && drbdadm secondary r0")


def disks_are_equal(machines):
    """Takes r0 down and compares the bytes of both disks. What lies behind is DRBD's metadata."""
    size = int(machines[0].sh("cat /sys/block/drbd0/size")) * 512
    for m in machines:
        m.sh("drbdadm down r0")
    sums = [m.sh(f"head -c {size} {DISK} | sha256sum", timeout=60) for m in machines]
    return sums[0] == sums[1]


def in_step(machine, limit=120):
    """Waits until both sides are UpToDate."""
    wait("both sides to be UpToDate",
         lambda: proc(machine).get("cs") == "Connected" and proc(machine).get("ds") == "UpToDate/UpToDate", limit, 0.1)
