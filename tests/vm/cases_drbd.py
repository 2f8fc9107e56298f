"""Real DRBD between the machines."""

import time

import drbd
from cases import case, check, equal
from lab import DATA, LAN, wait


@case("DRBD by hand: sync, writes, power cut, promotion, return, what an operator gets without tandemd")
def drbd_by_hand(lab, name):
    with lab.pair(name) as (alpha, bravo):
        drbd.configure((alpha, bravo), more="disk { resync-rate 40M; c-plan-ahead 0; }")
        drbd.up((alpha, bravo))
        refused = alpha.run("drbdadm primary r0")
        equal(refused.rc, 17)
        begun = time.monotonic()
        alpha.sh("drbdadm primary --force r0")
        seen = set()

        def synced():
            p = drbd.proc(bravo)
            seen.add(p.get("done"))
            return p.get("ds") == "UpToDate/UpToDate"

        wait("the initial sync", synced, 120, 0.1)
        lab.figure("by hand: initial sync of 256 MiB", time.monotonic() - begun)
        check(len(seen - {None}) > 1, f"the percentage moves: {seen}")
        alpha.sh("mkfs.ext4 -q -F /dev/drbd0 && mount /dev/drbd0 /srv/data", timeout=60)
        acks = drbd.writer(alpha)
        drbd.some_writes(acks, 100)
        alpha.power_off()
        begun = time.monotonic()
        drbd.promote_by_hand(bravo)
        lab.figure("by hand: power cut to mounted on the other machine", time.monotonic() - begun)
        check(drbd.verify_records(bravo, drbd.last(acks)) >= 100, "the acknowledged records are there")
        more = drbd.writer(bravo)
        drbd.some_writes(more, 50)
        alpha.boot()
        alpha.sh("modprobe drbd && drbdadm up r0")
        drbd.in_step(alpha)
        check(0 < int(drbd.proc(alpha)["nr"]) < 50_000, f"only what changed was copied: {drbd.proc(alpha)}")
        bravo.sh("pkill -f writer.py; sleep 0.2")
        begun = time.monotonic()
        drbd.demote_by_hand(bravo)
        drbd.promote_by_hand(alpha)
        lab.figure("by hand: umount, secondary, primary, mount", time.monotonic() - begun)
        drbd.verify_records(alpha, drbd.last(more))
        drbd.demote_by_hand(alpha)
        for m in (alpha, bravo):
            m.sh("drbdadm down r0")
        check(drbd.disks_are_equal((alpha, bravo)), "both disks have the same bytes")
