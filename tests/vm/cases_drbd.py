"""Real DRBD between the machines, steered by tandemd."""

import time

import drbd
from cases import case, check, equal
from lab import DATA, LAN, Failed, wait
from pair import ADDRESS, active, data, problems, resource, start, state

WRITER = f"""
[[resource]]
name = "writer"
kind = "exec"
command = ["/lab/writer.py", "{drbd.FILE}", "{drbd.ACKS}"]
depend_on = "fs"
"""


def writing(alpha, bravo, **more):
    """alpha is active, a writer runs there as a resource, bravo follows; gives what the writer acknowledges."""
    drbd.prepare((alpha, bravo))
    start(alpha, bravo, WRITER, **more)
    acks = drbd.acknowledged(alpha)
    drbd.some_writes(acks)
    return acks


def stop_both(*machines):
    """The active one last, so that nothing is promoted on the way."""
    for m in machines:
        m.sh("systemctl stop tandemd", timeout=60)


def same_bytes(*machines):
    """Both are stopped: the bytes of both disks are compared."""
    drbd.up(machines)
    drbd.in_step(machines[0])
    check(drbd.disks_are_equal(machines), "both disks have the same bytes")


@case("DRBD: first start with empty disks: promotion refused; initial sync with its percentage")
def drbd_initial_sync(lab, name):
    with lab.pair(name) as (alpha, bravo):
        drbd.configure((alpha, bravo), disk="resync-rate 4M; c-plan-ahead 0;")
        start(alpha, bravo, WRITER, wait_for=None)
        wait("alpha to refuse the promotion", lambda: "nconsistent" in problems(alpha), 60)
        check(not alpha.has_address(ADDRESS) and not bravo.has_address(ADDRESS), "no address without data")
        equal(drbd.proc(alpha)["ro"], "Secondary/Secondary")
        # The operator says whose nothing is kept, and makes the file system.
        for m in (alpha, bravo):
            m.sh("tandemadm maintenance on")
        wait("nothing to run any more", lambda: not resource(alpha, "data")["running"], 60)
        begun = time.monotonic()
        alpha.sh("drbdadm primary --force r0 && mkfs.ext4 -q -F -E nodiscard /dev/drbd0 && drbdadm secondary r0", timeout=60)
        seen = []

        def synced():
            there = data(bravo)
            if there.get("local", {}).get("state") == "syncing":
                seen.append(there["local"].get("percent"))
            return there.get("local", {}).get("state") == "up_to_date"

        wait("the initial sync", synced, 120, 0.2)
        lab.figure(f"initial sync of {drbd.SIZE} at 4 MiB/s", time.monotonic() - begun)
        moving = [p for p in seen if p is not None]
        check(len(set(moving)) > 3 and moving == sorted(moving), f"the percentage goes up: {seen}")
        for m in (alpha, bravo):
            m.sh("tandemadm resource clear data && tandemadm maintenance off")
        wait("one side to be active", lambda: active(alpha, "writer") or active(bravo, "writer"), 60)


@case("DRBD: power cut in the middle of writes: every fsynced write is there; return and resync")
def drbd_power_cut(lab, name):
    with lab.pair(name) as (alpha, bravo):
        acks = writing(alpha, bravo)
        alpha.sh("systemctl enable tandemd && sync")
        drbd.some_writes(acks, 100)
        begun = time.monotonic()
        alpha.power_off()
        wait("bravo to be active", lambda: active(bravo, "writer"), 60)
        lab.figure("DRBD + ext4, power cut: active after", time.monotonic() - begun)
        written = drbd.last(acks)
        check(drbd.verify_records(bravo, written) >= written > 100, "the acknowledged records are there")
        more = drbd.acknowledged(bravo)
        drbd.some_writes(more)
        alpha.boot()
        wait("alpha to have joined", lambda: drbd.proc(alpha).get("cs") in ("Connected", "SyncTarget"), 60)
        drbd.in_step(alpha)
        equal(drbd.proc(alpha)["ro"], "Secondary/Primary")
        check(state(alpha) == "BACKUP" and active(bravo, "writer"), "bravo stays active")
        stop_both(alpha, bravo)
        same_bytes(alpha, bravo)


@case("DRBD: planned switchover under write load, there and back", short=True)
def drbd_switchover(lab, name):
    with lab.pair(name) as (alpha, bravo):
        acks = writing(alpha, bravo)
        for old, new in ((alpha, bravo), (bravo, alpha)):
            begun = time.monotonic()
            stop = old.stream("systemctl stop tandemd")
            wait(f"{new.name} to be active", lambda new=new: active(new, "writer"), 60)
            lab.figure(f"DRBD + ext4, planned switchover to {new.name} under load", time.monotonic() - begun)
            equal(stop.result(60).rc, 0)
            check(not old.ok("mountpoint -q /srv/data"), "the file system is gone from the old one")
            check(drbd.verify_records(new, drbd.last(acks)) >= drbd.last(acks), "no record is lost")
            acks = drbd.acknowledged(new)
            drbd.some_writes(acks)
            old.sh("systemctl start tandemd", timeout=60)
            wait(f"{old.name} to follow", lambda old=old: drbd.proc(old).get("ro") == "Secondary/Primary", 30)
            drbd.in_step(old)
        stop_both(bravo, alpha)
        same_bytes(alpha, bravo)


@case("DRBD: the link fails for a while: only what changed is copied")
def drbd_link_lost(lab, name):
    with lab.pair(name) as (alpha, bravo):
        acks = writing(alpha, bravo)
        bravo.wire(DATA, False)
        wait("alpha to notice", lambda: drbd.proc(alpha).get("cs") == "WFConnection", 30)
        drbd.some_writes(acks, 100)
        check(active(alpha, "writer"), "alpha goes on")
        before = int(drbd.proc(bravo)["nr"])
        bravo.wire(DATA, True)
        wait("the link to be back", lambda: drbd.proc(alpha).get("cs") not in ("WFConnection", "Unconnected"), 40)
        drbd.in_step(alpha)
        copied = int(drbd.proc(bravo)["nr"]) - before
        check(copied < 20_000, f"the bitmap resync copies little: {copied} KiB of {drbd.SIZE}")
        stop_both(bravo, alpha)
        same_bytes(alpha, bravo)


@case("DRBD: a device held open at demote: not released, said by name; mended by hand")
def drbd_held_open(lab, name):
    with lab.pair(name) as (alpha, bravo):
        writing(alpha, bravo, nopreempt=False, track=True, demote_timeout="20s")
        holder = alpha.stream("exec -a someone-elses sleep 9999 </dev/drbd0", timeout=3600)
        alpha.sh("echo -100 >/run/tandem/weight")
        wait("alpha to be blocked", lambda: "BLOCKED" in alpha.sh("tandemadm status"), 60)
        text = alpha.sh("tandemadm status")
        pid = alpha.sh("pgrep -f someone-elses")
        check(pid in text and "held open" in text, f"status names the holder, pid {pid}:\n{text}")
        check(not alpha.has_address(ADDRESS), "the address is off")
        check(not bravo.has_address(ADDRESS), "bravo is not released")
        equal(drbd.proc(bravo)["ro"], "Secondary/Primary")
        alpha.sh(f"kill {pid}")
        holder.result(60)
        alpha.sh("tandemadm resource clear data")
        wait("bravo to be active", lambda: active(bravo, "writer"), 60)
        equal(drbd.proc(alpha)["ro"], "Secondary/Primary")


def split(alpha, bravo):
    """Both networks are cut, both are active and write; then the networks are back."""
    acks = writing(alpha, bravo)
    for net in (LAN, DATA):
        alpha.wire(net, False)
    wait("bravo to be active on its own", lambda: active(bravo, "writer"), 90)
    mine = drbd.acknowledged(bravo)
    drbd.some_writes(mine)
    drbd.some_writes(acks)
    bravo.sh("touch /srv/data/of-bravo && sync -f /srv/data")
    alpha.sh("touch /srv/data/of-alpha && sync -f /srv/data")
    for net in (LAN, DATA):
        alpha.wire(net, True)
    wait("one of them to give way", lambda: sorted((state(alpha), state(bravo))) == ["BACKUP", "MASTER"], 30)
    wait("DRBD to have noticed", lambda: "StandAlone" in (drbd.proc(alpha).get("cs"), drbd.proc(bravo).get("cs")), 60)
    wait("status to say so", lambda: data(alpha).get("split_brain") or data(bravo).get("split_brain"), 30)
    check("split" in (problems(alpha) + problems(bravo)).lower(), "health says split brain")


def recover(lab, name, winner_is_master):
    with lab.pair(name) as (alpha, bravo):
        split(alpha, bravo)
        master, backup = (alpha, bravo) if state(alpha) == "MASTER" else (bravo, alpha)
        wait("the one that gave way to be Secondary", lambda: drbd.proc(backup).get("ro", "").startswith("Secondary"), 30)
        winner, loser = master, backup
        if not winner_is_master:
            # The writes of the one that gave way are kept: it is made active, on its own data, first.
            winner, loser = backup, master
            loser.sh("systemctl stop tandemd", timeout=60)
            wait(f"{winner.name} to be active", lambda: active(winner, "writer"), 60)
            loser.sh("systemctl start tandemd", timeout=60)
            wait(f"{loser.name} to be up", lambda: resource(loser, "data")["level"] == "started", 60)
        loser.sh("tandemadm data recover data --keep peer", timeout=60)
        winner.sh("tandemadm data recover data --keep local", timeout=60)
        drbd.in_step(winner)
        equal(drbd.proc(winner)["ro"], "Primary/Secondary")
        check(winner.ok(f"test -e /srv/data/of-{winner.name}"), "the winner's writes are there")
        check(not winner.ok(f"test -e /srv/data/of-{loser.name}"), "the loser's are not")
        kept = loser.sh("lvs --noheadings -o lv_name lab").split()
        check([v for v in kept if v != "r0"], f"the loser's data is kept in a snapshot: {kept}")
        snapshot = next(v for v in kept if v != "r0")
        loser.sh(f"mkdir -p /tmp/kept && mount -t ext4 -o ro,noload /dev/lab/{snapshot} /tmp/kept")
        check(loser.ok(f"test -e /tmp/kept/of-{loser.name}"), "and its writes are in there")
        check(not data(winner).get("split_brain") and not data(loser).get("split_brain"), "status says that it is over")


@case("DRBD: split brain made on purpose, the MASTER's writes kept")
def drbd_split_keep_master(lab, name):
    recover(lab, name, winner_is_master=True)


@case("DRBD: split brain made on purpose, the other one's writes kept")
def drbd_split_keep_other(lab, name):
    recover(lab, name, winner_is_master=False)


def syncing(alpha, bravo):
    """alpha is active; bravo, whose disk was lost, is being filled slowly."""
    drbd.prepare((alpha, bravo), disk=drbd.SLOW)
    bravo.sh("drbdadm --force create-md r0")
    bravo.sh("systemctl enable tandemd")
    start(alpha, bravo, WRITER)
    wait("the sync to run", lambda: drbd.proc(bravo).get("cs") == "SyncTarget"
         and drbd.proc(bravo).get("ds") == "Inconsistent/UpToDate", 60)


@case("DRBD: the standby dies in mid-sync")
def drbd_standby_dies(lab, name):
    with lab.pair(name) as (alpha, bravo):
        syncing(alpha, bravo)
        acks = drbd.acknowledged(alpha)
        bravo.power_off()
        wait("alpha to notice", lambda: drbd.proc(alpha).get("cs") == "WFConnection", 40)
        drbd.some_writes(acks)
        check(active(alpha, "writer"), "alpha goes on")
        bravo.boot()
        for m in (alpha, bravo):
            m.sh(f"sed -i 's/{drbd.SLOW}/{drbd.QUICK}/' /etc/drbd.d/r0.res && drbdadm adjust r0")
        wait("bravo to be connected again", lambda: drbd.proc(alpha).get("cs") in ("SyncSource", "Connected"), 60)
        drbd.in_step(alpha)
        stop_both(bravo, alpha)
        same_bytes(alpha, bravo)


@case("DRBD: the source dies in mid-sync: Inconsistent data is not promoted")
def drbd_source_dies(lab, name):
    with lab.pair(name) as (alpha, bravo):
        syncing(alpha, bravo)
        alpha.sh("systemctl enable tandemd && sync")
        alpha.power_off()
        wait("bravo to refuse", lambda: "cannot be promoted" in problems(bravo), 90)
        check("Inconsistent" in problems(bravo), "and to say why")
        check(drbd.proc(bravo)["ro"].startswith("Secondary/"), "it stays Secondary")
        check(not bravo.has_address(ADDRESS), "no address without data")
        alpha.boot()
        wait("alpha to be active again", lambda: active(alpha, "writer"), 120)


@case("DRBD by hand: what an operator gets without tandemd")
def drbd_by_hand(lab, name):
    with lab.pair(name) as (alpha, bravo):
        drbd.prepare((alpha, bravo))
        # tandemd does not run here, so nobody would answer DRBD's questions.
        for m in (alpha, bravo):
            m.sh("sed -i 's/fencing resource-only/fencing dont-care/; /tandemd-drbd-handler/d' /etc/drbd.d/r0.res")
        drbd.up((alpha, bravo))
        drbd.promote_by_hand(alpha)
        acks = drbd.writer(alpha)
        drbd.some_writes(acks, 100)
        begun = time.monotonic()
        alpha.power_off()
        drbd.promote_by_hand(bravo)
        lab.figure("by hand: power cut, then drbdadm primary until it succeeds, mount", time.monotonic() - begun)
        check(drbd.verify_records(bravo, drbd.last(acks)) >= 100, "the acknowledged records are there")
        alpha.boot()
        alpha.sh("modprobe drbd && drbdadm up r0")
        drbd.in_step(alpha)
        begun = time.monotonic()
        drbd.demote_by_hand(bravo)
        drbd.promote_by_hand(alpha)
        lab.figure("by hand: umount, secondary, primary, mount", time.monotonic() - begun)
        drbd.demote_by_hand(alpha)
        check(drbd.disks_are_equal((alpha, bravo)), "both disks have the same bytes")
