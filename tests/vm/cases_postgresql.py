"""DRBD + ext4 + PostgreSQL as Debian installs it: how long a switch takes, by tandemd and by hand."""

import time

import drbd
from cases import case, check
from lab import PATIENCE, wait
from pair import ADDRESS, active, start, status

UNIT = "postgresql@15-main.service"
SIZE = "200M"
DATABASE = f"""
[[resource]]
name = "database"
kind = "systemd"
unit = "{UNIT}"
depend_on = "fs"
start_timeout = "300s"
stop_timeout = "300s"
"""
CLUSTER = """
install -d -o postgres -g postgres -m 700 pg
pg_createcluster --start-conf=manual -d /srv/data/pg 15 main
echo "listen_addresses = '*'" >>/etc/postgresql/15/main/postgresql.conf
echo "host all all 192.0.2.0/24 trust" >>/etc/postgresql/15/main/pg_hba.conf
systemctl start postgresql@15-main
runuser -u postgres -- psql -qc 'create table lab (n integer primary key)'
systemctl stop postgresql@15-main
"""


def install(alpha, bravo):
    """A cluster on the replicated file system, known to both machines."""
    drbd.prepare((alpha, bravo), size=SIZE, tree="\n" + CLUSTER)
    files = alpha.sh("tar -C /etc -cz postgresql | base64 -w0")
    bravo.sh(f"base64 -d <<<'{files}' | tar -C /etc -xz && systemctl daemon-reload")


def client(machine):
    """Inserts rows by the virtual address; a line for each one that was committed."""
    return machine.stream(f"exec /lab/client.py {ADDRESS}", timeout=3600)


def some_rows(stream, number=20):
    goal = len(stream.lines) + number
    wait(f"{number} rows to be committed", lambda: len(stream.lines) >= goal, 60)


def rows_are_there(machine, stream):
    """No committed row is lost."""
    wanted = int(stream.lines[-1])
    there = int(machine.sh(f"runuser -u postgres -- psql -Atqc 'select count(*) from lab where n <= {wanted}'"))
    check(there == wanted, f"{wanted} rows were committed, {there} are there")


def back(stream, begun, before):
    """Seconds from `begun` to the first commit after the longest gap since."""
    times = [t for t in stream.times[before - 1:]]
    gaps = [(later - earlier, later) for earlier, later in zip(times, times[1:])]
    gap, end = max(gaps)
    return end - begun, gap


def steps(lab, machine, what):
    """How long each step took on the new active machine."""
    for one in status(machine)["resources"]["resources"]:
        last = one.get("last_result")
        if last and last["step"] in ("promote", "start"):
            lab.figure(f"  {what}: {last['step']} {one['name']}", last["took_ms"] / 1000)


@case("PostgreSQL on DRBD: planned switchover and power cut, no committed row lost, times")
def postgresql(lab, name):
    with lab.pair(name) as (alpha, bravo):
        install(alpha, bravo)
        start(alpha, bravo, DATABASE, wait_for="database")
        rows = client(bravo)
        some_rows(rows)

        before, begun = len(rows.lines), time.monotonic()
        stop = alpha.stream("systemctl stop tandemd", timeout=300)
        wait("bravo to be active", lambda: active(bravo, "database"), 90)
        some_rows(rows, 5)
        after, gap = back(rows, begun, before)
        lab.figure("PostgreSQL, planned switchover: order to first commit", after)
        lab.figure("PostgreSQL, planned switchover: longest gap of the client", gap)
        steps(lab, bravo, "planned")
        stop.result(300)
        rows_are_there(bravo, rows)

        alpha.sh("systemctl start tandemd", timeout=60)
        drbd.in_step(bravo)
        watch = client(alpha)
        some_rows(watch)
        before, begun = len(watch.lines), time.monotonic()
        bravo.power_off()
        wait("alpha to be active", lambda: active(alpha, "database"), 120)
        some_rows(watch, 5)
        after, gap = back(watch, begun, before)
        lab.figure("PostgreSQL, power cut: to first commit", after)
        steps(lab, alpha, "power cut")
        rows_are_there(alpha, watch)


@case("PostgreSQL on DRBD by hand: the same steps, each timed in the machine")
def postgresql_by_hand(lab, name):
    with lab.pair(name) as (alpha, bravo):
        install(alpha, bravo)
        for m in (alpha, bravo):
            m.sh("sed -i 's/fencing resource-only/fencing dont-care/; /tandemd-drbd-handler/d' /etc/drbd.d/r0.res")
        drbd.up((alpha, bravo))
        drbd.promote_by_hand(alpha)
        alpha.sh(f"systemctl start {UNIT}", timeout=90)
        total = 0.0
        for machine, step, command in (
                (alpha, "stop PostgreSQL", f"systemctl stop {UNIT}"), (alpha, "umount", "umount /srv/data"),
                (alpha, "drbdadm secondary", "drbdadm secondary r0"), (bravo, "drbdadm primary", "drbdadm primary r0"),
                (bravo, "mount", "mount /dev/drbd0 /srv/data"), (bravo, "start PostgreSQL", f"systemctl start {UNIT}")):
            took = float(machine.sh(f"s=$EPOCHREALTIME; {command} >/dev/null; e=$EPOCHREALTIME; "
                                    "echo $(( (${e/./} - ${s/./}) / 1000 ))", timeout=90)) / 1000
            lab.figure(f"  by hand: {step}", took)
            total += took
        lab.figure("by hand: all steps of a planned switchover, without pauses between them", total)
        bravo.stream(f"systemctl stop {UNIT}").result(90 * PATIENCE)
