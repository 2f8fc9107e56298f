"""Pairs with replicated data: registered nodes that decide together which of them serves, with real DRBD below."""

import time

import drbd
from cases import case, check, equal
from cases_drbd import same_bytes, stop_both
from lab import DATA, LAN, WITNESS
from pair import ADDRESS
from paired import DEAD, ended_whole, follows, generation, registered, resources, serves, shown, silent, status, wait, whole, words
from record import never_two, one_history, overlaps, spans
from witness import LEASE, Witness


def change(lab, command, old, new, what):
    """An operator has the service move from one machine to the other one. Gives how long it took."""
    a, b = old, new
    begun = time.monotonic()
    a.machine.sh(f"tandemadm {command}")
    wait(f"{b.machine.name} to serve", lambda: serves(b.machine), 60)
    lab.figure(f"pair, DRBD + ext4, {what}: order until the other node has the address", b.arrival() - begun)
    lab.figure("  of that without the address", b.arrival() - a.departure())
    number = drbd.last(a.acks)
    check(drbd.verify_records(b.machine, number) >= number, "no committed record is lost")
    drbd.some_writes(b.acks)
    follows(a.machine)


@case("pair with DRBD: registered, planned switchover and failback under write load, never two, nothing lost")
def pair_switchover(lab, name):
    with lab.pair(name) as (alpha, bravo):
        a, b = whole(alpha, bravo)
        change(lab, "ha switchover", a, b, "switchover")
        equal((shown(alpha), shown(bravo)), ("primary_syncing", "secondary_active"))
        change(lab, "ha failback", b, a, "failback")
        equal((shown(alpha), shown(bravo)), ("primary_active", "secondary_syncing"))
        never_two(a, b)
        check(one_history(a, b) > 150, "there was something to lose")


@case("pair with DRBD: registered while the first copy runs: its percentage, then in sync")
def pair_first_copy(lab, name):
    with lab.pair(name) as (alpha, bravo):
        # Without its handler DRBD would break off the copy as it begins.
        resources((alpha, bravo))
        drbd.configure((alpha, bravo), disk=drbd.SLOW)
        drbd.up((alpha, bravo))
        alpha.sh("drbdadm primary --force r0 && mkfs.ext4 -q -F -E nodiscard /dev/drbd0 && drbdadm secondary r0", timeout=60)
        a, b, asked = registered(alpha, bravo)
        check("its data are being copied" in words(bravo), f"the standby says what is in the way:\n{words(bravo)}")
        check("could not take over: its data are being copied" in words(alpha), f"and the other one too:\n{words(alpha)}")
        equal(bravo.run("tandemadm ha status").rc, 2)
        seen = []

        def moved():
            copied = status(bravo)["data"]
            if isinstance(copied, dict) and copied["syncing"]["percent"] is not None:
                seen.append(copied["syncing"]["percent"])
            return len(set(seen)) >= 4

        wait("the percentage to move", moved, 60)
        equal(seen, sorted(seen))
        check(not asked.done.is_set(), "the order to register stays as long as the copy runs")
        refused = bravo.run("tandemadm ha failover")
        check(refused.rc != 0 and "being copied" in refused.err, f"a failover is refused meanwhile: {refused.err}")
        for m in (alpha, bravo):
            m.sh(f"sed -i 's/{drbd.SLOW}/{drbd.QUICK}/' /etc/drbd.d/r0.res && drbdadm adjust r0")
        follows(bravo)
        wait("nothing to be in the way", lambda: "the pair is whole" in words(bravo), 30)
        ended_whole(asked)
        wait("alpha to serve", lambda: serves(alpha), 30)
        change(lab, "ha switchover", a, b, "switchover after the first copy")
        never_two(a, b)
        one_history(a, b)


@case("pair with DRBD: power cut of the active node: takeover, return as standby, failback; nothing lost")
def pair_power_cut(lab, name):
    with lab.pair(name) as (alpha, bravo):
        a, b = whole(alpha, bravo)
        drbd.some_writes(a.acks, 100)
        before = generation(bravo)
        a.power_off()
        begun = time.monotonic()
        wait("bravo to serve", lambda: serves(bravo), 60)
        lab.figure(f"pair, DRBD + ext4, power cut: until the other node is Primary ({DEAD} s of silence)", b.arrival("primary") - begun)
        lab.figure("pair, DRBD + ext4, power cut: until the other node has the address", b.arrival() - begun)
        check(b.arrival("primary") - begun >= DEAD - 1, "it does not begin before the other one counts as dead")
        check(generation(bravo) >= before + 2, "with a new generation")
        written = drbd.last(a.acks)
        check(drbd.verify_records(bravo, written) >= written > 100, "the acknowledged records are there")
        drbd.some_writes(b.acks)
        a.boot()
        wait("alpha to stand by", lambda: shown(alpha) == "primary_syncing", 120)
        follows(alpha)
        change(lab, "ha failback", b, a, "failback after a power cut")
        never_two(a, b)
        check(one_history(a, b) > 200, "there was something to lose")
        stop_both(bravo, alpha)
        same_bytes(alpha, bravo)


def given_up(machine, number):
    """Both sides have written on without each other, and this machine's writes go: the operator says so to DRBD."""
    wait("somebody to have noticed the split brain", lambda: drbd.proc(machine).get("cs") in ("StandAlone", "WFConnection"), 60)
    machine.sh("tandemadm data recover data --keep peer", timeout=60)
    kept = [v for v in machine.sh("lvs --noheadings -o lv_name lab").split() if v != "r0"]
    check(kept, "the loser's data are kept in a snapshot")
    # Without noload: it may have lost its power with the file system mounted, and then the journal is played in the snapshot.
    machine.sh(f"mkdir -p /tmp/kept && mount -t ext4 -o ro /dev/lab/{kept[0]} /tmp/kept")
    there = int(machine.sh(f"/lab/check_records.py /tmp/kept/records {number}", timeout=60))
    machine.sh("umount /tmp/kept")
    check(there >= number, "and every record that was acknowledged there is in it")


@case("pair with DRBD: replication lost while heartbeats go on: the standby counts as behind, and serves by force only")
def pair_replication_lost(lab, name):
    with lab.pair(name) as (alpha, bravo):
        a, b = whole(alpha, bravo)
        before, both_have = generation(alpha), drbd.last(a.acks)
        begun = time.monotonic()
        alpha.wire(DATA, False)
        wait("the generation to move", lambda: generation(alpha) > before, 60)
        lab.figure("pair, replication lost: until the generation moves", time.monotonic() - begun)
        wait("bravo to count as behind", lambda: "its data are of generation" in words(bravo), 60)
        check("could not take over" in words(alpha), f"the active node says so:\n{words(alpha)}")
        equal((shown(bravo), status(bravo)["peer"]["serving"]), ("secondary_syncing", "yes"))
        drbd.some_writes(a.acks, 100)
        alone = drbd.last(a.acks)
        a.power_off()
        silent(bravo, 2 * DEAD)
        equal((shown(bravo), status(bravo)["serving"]), ("secondary_lost_primary", "no"))
        refused = bravo.run("tandemadm ha failover")
        check(refused.rc != 0 and "its data are of generation" in refused.err, f"an order is refused: {refused.err}")
        equal(list(b.boots[0].primary()) + list(b.boots[0].address()), [])
        bravo.sh("tandemadm ha failover --force")
        wait("bravo to serve", lambda: serves(bravo), 60)
        check(drbd.verify_records(bravo, both_have) < alone, "it lacks what was written without it, and nothing else")
        drbd.some_writes(b.acks)
        # The dead one comes back with writes that nobody has: it stands by, and they are kept.
        a.boot()
        alpha.wire(DATA, True)
        wait("alpha to be back as standby", lambda: shown(alpha) in ("primary_preparing_for_failback", "primary_failover"), 120)
        given_up(alpha, alone)
        bravo.sh("tandemadm data recover data --keep local", timeout=60)
        follows(alpha)
        equal((shown(alpha), shown(bravo)), ("primary_syncing", "secondary_active"))
        change(lab, "ha failback", b, a, "failback after a split brain")
        never_two(a, b)


@case("pair with DRBD that freezes: no write is done alone before the other node knows, nor while that cannot be kept")
def pair_frozen(lab, name):
    with lab.pair(name) as (alpha, bravo):
        a, b = whole(alpha, bravo, fencing=drbd.FREEZING)
        alpha.wire(DATA, False)
        wait("the handler to be answered", lambda: "this node goes on serving" in alpha.journal(), 60)
        check("its data are of generation" in words(bravo), f"bravo has been told before:\n{words(bravo)}")
        drbd.some_writes(a.acks, 100)
        alpha.wire(DATA, True)
        follows(bravo)
        # Nobody could tell bravo later, so nothing is written.
        alpha.sh("chattr +i /var/lib/tandem/pair")
        alpha.wire(DATA, False)
        wait("the handler to know nothing", lambda: "that could not be written down" in alpha.journal(), 60)
        frozen = drbd.last(a.acks)
        time.sleep(10)
        equal(drbd.last(a.acks), frozen)
        alpha.sh("chattr -i /var/lib/tandem/pair")
        alpha.wire(DATA, True)
        drbd.some_writes(a.acks, 100)
        follows(bravo)
        change(lab, "ha switchover", a, b, "switchover after DRBD was frozen")
        never_two(a, b)
        check(one_history(a, b) > 200, "there was something to lose")


@case("pair with DRBD: both made to serve alone by force: split brain, ha keep, the loser's records kept aside")
def pair_split_brain(lab, name):
    with lab.pair(name) as (alpha, bravo):
        a, b = whole(alpha, bravo)
        both_have = drbd.last(a.acks)
        # The one that serves first, which nobody takes over from: so the data are the same on both, and so is the generation.
        stop_both(alpha, bravo)
        for net in (LAN, DATA):
            alpha.wire(net, False)
        for m in (alpha, bravo):
            m.sh("systemctl start tandemd", timeout=60)
        for m, order in ((alpha, "failback"), (bravo, "failover")):
            wait(f"{m.name} to have looked at its data", lambda m=m: status(m)["data"] == "consistent", 60)
            check(not m.ok(f"tandemadm ha {order}"), f"{m.name} does not serve alone without --force")
            m.sh(f"tandemadm ha {order} --force")
        for r in (a, b):
            wait(f"{r.machine.name} to serve", lambda r=r: serves(r.machine), 60)
            drbd.some_writes(r.acks)
        equal(generation(alpha), generation(bravo))
        for net in (LAN, DATA):
            alpha.wire(net, True)
        for m in (alpha, bravo):
            wait(f"{m.name} to say it", lambda m=m: "SPLIT BRAIN: both nodes serve" in words(m), 60)
        check(list(overlaps(a, b, "primary")), f"what finds two would have found these: {spans(a, 'primary')}, {spans(b, 'primary')}")
        bravo.sh("tandemadm ha keep local")
        wait("alpha to have gone down", lambda: status(alpha)["serving"] == "no" and not alpha.has_address(ADDRESS), 60)
        wait("and to be Secondary", lambda: drbd.proc(alpha).get("ro", "").startswith("Secondary"), 30)
        check(serves(bravo), "bravo goes on")
        lost = drbd.last(a.acks)
        check(lost > both_have, "alpha has written alone")
        given_up(alpha, lost)
        bravo.sh("tandemadm data recover data --keep local", timeout=60)
        follows(alpha)
        check(drbd.verify_records(bravo, drbd.last(b.acks)) > both_have, "the winner's records are there")
        equal((shown(alpha), shown(bravo)), ("primary_syncing", "secondary_active"))
        change(lab, "ha failback", b, a, "failback after ha keep")


@case("pair with DRBD and a witness: cut apart, the active node goes on; cut off from it too, it goes down first; never two")
def pair_witness(lab, name):
    with lab.pair(name) as (alpha, bravo), Witness(lab, (alpha, bravo)) as witness:
        a, b = whole(alpha, bravo, more=witness)
        wait("alpha to have a right", lambda: status(alpha)["right"], 60)
        nets = (LAN, DATA)
        for net in nets:
            alpha.wire(net, False)
        silent(bravo, 2 * DEAD)
        check(serves(alpha), "the one with the lease goes on")
        check("the witness" in words(bravo), f"the other one says who decides:\n{words(bravo)}")
        equal(status(bravo)["serving"], "no")
        drbd.some_writes(a.acks)
        for net in nets:
            alpha.wire(net, True)
        follows(bravo)
        wait("all to be well", lambda: (shown(alpha), shown(bravo)) == ("primary_active", "secondary_syncing"), 60)
        check(one_history(a, b) > 100, "nothing is lost")

        begun = time.monotonic()
        for net in (*nets, WITNESS):
            alpha.wire(net, False)
        wait("alpha to be down", lambda: status(alpha)["serving"] == "no" and not alpha.has_address(ADDRESS), 60)
        lab.figure(f"pair with a witness, the active node is cut off: until its address is off (lease {LEASE} s)", a.departure() - begun)
        wait("bravo to serve", lambda: serves(bravo), 60)
        lab.figure("pair with a witness, the active node is cut off: until the other one has the address", b.arrival() - begun)
        drbd.some_writes(b.acks)
        check(status(alpha)["serving"] == "no", "alpha does not come back by itself")
        for net in (*nets, WITNESS):
            alpha.wire(net, True)
        wait("alpha to stand by", lambda: shown(alpha) in ("primary_preparing_for_failback", "primary_syncing", "primary_failover"), 60)
        never_two(a, b)
