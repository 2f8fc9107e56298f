"""What the two machines of a pair did over time, as their kernels say it: when DRBD was Primary where, where the address was,
which records were acknowledged where. It outlives power cuts."""

import re
import time
from datetime import datetime, timezone

import drbd
from lab import Failed
from pair import ADDRESS

ROLE = r"^(\S+) (\w+) resource name:r0(?: role:(\w+))?"
PLACE = r"^\[(\S+)\] (Deleted )?"


class Boot:
    """One life of a machine."""

    def __init__(self, machine):
        self.machine, self.begun, self.ended = machine, time.monotonic(), None
        self.clocks = []
        self.look_at_the_clock()
        self.acks = drbd.acknowledged(machine)
        self.roles = machine.stream("until [ -e /proc/drbd ]; do sleep 0.1; done; exec drbdsetup events2 --timestamps",
                                    timeout=3600)
        self.places = machine.stream("ip -o -4 addr show eth0; exec ip -ts -o -4 monitor address dev eth0", timeout=3600)

    def look_at_the_clock(self):
        """How far the machine's clock is from ours, and how sure that is."""
        for _ in range(5):
            before = time.monotonic()
            theirs = float(self.machine.sh("echo $EPOCHREALTIME"))
            half = (time.monotonic() - before) / 2
            self.clocks.append((half, before + half - theirs))
        self.clocks.sort()

    def doubt(self):
        """Times of this machine are as sure as this, in seconds; its clock may also run slower or faster than ours."""
        offsets = [offset for _, offset in self.clocks]
        return self.clocks[0][0] + max(offsets) - min(offsets)

    def ours(self, text):
        """A time as the machine wrote it, on our clock."""
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp() + self.clocks[0][1]

    def spans(self, changes):
        """From times with yes or no to the spans of yes."""
        since = None
        for at, yes in changes:
            if yes and since is None:
                since = at
            if not yes and since is not None:
                yield since, at
                since = None
        if since is not None:
            yield since, self.ended or time.monotonic()

    def primary(self):
        found = (re.match(ROLE, line) for line in self.roles.lines)
        return self.spans((self.ours(m.group(1)), m.group(3) == "Primary") for m in found
                          if m and (m.group(3) or m.group(2) == "destroy"))

    def address(self):
        def changes():
            for line in self.places.lines:
                if f" {ADDRESS}/" in line:
                    m = re.match(PLACE, line)
                    yield (self.ours(m.group(1)), not m.group(2)) if m else (self.begun, True)
        return self.spans(changes())


class Record:
    """One machine, from its first start."""

    def __init__(self, machine):
        self.machine, self.boots = machine, [Boot(machine)]

    @property
    def acks(self):
        """What is acknowledged there now."""
        return self.boots[-1].acks

    def arrival(self, what="address"):
        """When it took it over last, on our clock."""
        return self.last(what)[0]

    def departure(self, what="address"):
        """When it gave it up last."""
        return self.last(what)[1]

    def last(self, what):
        found = list(getattr(self.boots[-1], what)())
        if not found:
            raise Failed(f"{self.machine.name} never had the {what}")
        return found[-1]

    def power_off(self):
        """The plug is pulled; what the machine was then, it was to this moment."""
        self.boots[-1].look_at_the_clock()
        self.machine.power_off()
        self.boots[-1].ended = time.monotonic()

    def boot(self):
        self.machine.boot()
        self.boots.append(Boot(self.machine))

    def acknowledged(self):
        """The numbers of all records that were ever acknowledged there."""
        return [int(line) for boot in self.boots for line in boot.acks.lines]


def overlaps(one, other, what):
    """Spans in which both did it, as (from, to); what the clocks do not tell apart does not count."""
    for a in one.boots:
        for b in other.boots:
            doubt = a.doubt() + b.doubt()
            for begin, end in getattr(a, what)():
                for start, stop in getattr(b, what)():
                    if min(end, stop) - max(begin, start) > doubt:
                        yield max(begin, start), min(end, stop)


def never_two(one, other):
    """Never were both Primary, and never was the address on both; and both were what they were said to be at some time."""
    for r in (one, other):
        if r.boots[-1].ended is None:
            r.boots[-1].look_at_the_clock()
    for what in ("primary", "address"):
        both = list(overlaps(one, other, what))
        if both:
            raise Failed(f"{what} on both, {both[0][1] - both[0][0]:.2f} s long: {spans(one, what)}, {spans(other, what)}")


def spans(record, what):
    """For people."""
    return [f"{record.machine.name} {a:.2f} to {b:.2f}" for boot in record.boots for a, b in getattr(boot, what)()]


def one_history(one, other):
    """No record was acknowledged twice: whoever went on, went on with everything that was acknowledged before. Gives how many
    there are."""
    numbers = sorted(one.acknowledged() + other.acknowledged())
    twice = sorted({n for n, next_one in zip(numbers, numbers[1:]) if n == next_one})
    if twice:
        raise Failed(f"acknowledged twice, so lost once: {twice[0]} and {len(twice) - 1} more")
    return len(numbers)
