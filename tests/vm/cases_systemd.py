"""systemd as PID 1: the unit as README.md installs it, and VRRP between two machines."""

import re
import time

from cases import case, check, equal
from lab import DATA, LAN, PATIENCE, wait

VIP = "192.0.2.100"
CONFIG = "/etc/tandem/tandem.toml"


def vrrp(machine, more="", top=""):
    """A configuration with one instance, `web`; alpha is preferred."""
    return f"""{top}
[node]
name = "{machine.name}"

[[vrrp_instance]]
name = "web"
interface = "eth0"
virtual_router_id = 51
priority = {150 if machine.name == "alpha" else 100}
advert_int = "1s"
virtual_ipaddress = ["{VIP}/24"]
{more}
"""


def up(*machines, more=""):
    """tandemd runs on them, each in its place."""
    for machine in machines:
        machine.write(CONFIG, vrrp(machine, more))
    for machine in machines:
        machine.sh("systemctl start tandemd", timeout=60)
    master, *others = machines
    wait(f"{master.name} to be MASTER", lambda: master.state() == "MASTER" and master.has_address(VIP))
    for other in others:
        wait(f"{other.name} to be BACKUP", lambda other=other: other.state() == "BACKUP")


def workers(machine):
    """Process ids of the unit: the guardian, and the daemon."""
    guardian = machine.unit("tandemd", "MainPID")["MainPID"]
    return guardian, machine.sh(f"pgrep -P {guardian} -x tandemd")


@case("unit: start, active with Type=notify, planned stop", short=True)
def start_and_stop(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        equal(alpha.unit("tandemd", "Type", "ActiveState", "SubState", "NRestarts"),
              {"Type": "notify", "ActiveState": "active", "SubState": "running", "NRestarts": "0"})
        check(not bravo.has_address(VIP), "the address is on the MASTER only")
        check(bravo.ok(f"ping -c 1 -W 5 {VIP}"), "bravo reaches the address on alpha")
        check(alpha.ok("runuser -u nobody -- tandemadm status; test $? = 77"), "the status socket is not for everybody")

        begun = time.monotonic()
        stop = alpha.stream("systemctl stop tandemd")
        wait("bravo to be MASTER", lambda: bravo.has_address(VIP), 5)
        lab.figure("planned stop: bravo has the address after", time.monotonic() - begun)
        equal(stop.result(60 * PATIENCE).rc, 0)
        lab.figure("planned stop: systemctl stop returns after", time.monotonic() - begun)
        check(not alpha.has_address(VIP), "the address is gone from alpha")
        equal(alpha.unit("tandemd", "ActiveState", "Result", "ExecMainStatus"),
              {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"})
        check(not alpha.ok("pgrep -x tandemd"), "no process is left")
        check(alpha.ok(f"ping -c 1 -W 5 {VIP}"), "alpha reaches the address on bravo")

        alpha.sh("systemctl start tandemd", timeout=60)
        wait("alpha to take over again, as its priority is higher", lambda: alpha.state() == "MASTER")
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP" and not bravo.has_address(VIP))


@case("unit: mistakes in the configuration stop the start, and are not tried again")
def bad_start(lab, name):
    with lab.pair(name) as (alpha, _):
        alpha.write(CONFIG, vrrp(alpha).replace("virtual_router_id = 51", "virtual_router_id = 300"))
        check(not alpha.ok("systemctl start tandemd"), "systemctl start says that it failed")
        equal(alpha.unit("tandemd", "ActiveState", "Result", "ExecMainStatus", "NRestarts"),
              {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "78", "NRestarts": "0"})
        check("300" in alpha.journal(), "the journal names the mistake")


@case("unit: reload, with a change and with a mistake")
def reload(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        before = workers(alpha)
        since = alpha.status()["instances"][0]["last_transition"]
        alpha.write(CONFIG, vrrp(alpha).replace(f'"{VIP}/24"', f'"{VIP}/24", "192.0.2.101/24"'))
        alpha.sh("systemctl reload tandemd")
        wait("the new address", lambda: alpha.has_address("192.0.2.101"), 10)
        alpha.write(CONFIG, vrrp(alpha).replace("virtual_router_id", "vritual_router_id"))
        result = alpha.run("systemctl reload tandemd")
        check(result.rc != 0, "systemctl reload fails on a mistake")
        check("vritual_router_id" in alpha.journal(), "the journal names the mistake")
        check(alpha.status()["reload_error"], "status says why the reload was refused")
        # The same by signal, as scripts may do it.
        alpha.write(CONFIG, vrrp(alpha))
        alpha.sh("systemctl kill -s HUP --kill-who=main tandemd")
        wait("the address of the first reload to go", lambda: not alpha.has_address("192.0.2.101"), 10)
        equal(workers(alpha), before)
        status = alpha.status()
        equal(status["instances"][0]["last_transition"], since)
        check(not status["reload_error"], "the good reload is the last word")
        equal(alpha.unit("tandemd", "ActiveState", "NRestarts"), {"ActiveState": "active", "NRestarts": "0"})


@case("watchdog: everything stands still, and systemd starts it again")
def watchdog(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        before = workers(alpha)
        begun = time.monotonic()
        alpha.sh("systemctl kill -s STOP --kill-who=all tandemd")
        wait("bravo to take over", lambda: bravo.state() == "MASTER", 10)
        wait("systemd to start it again", lambda: alpha.unit("tandemd", "NRestarts", "ActiveState")
             == {"NRestarts": "1", "ActiveState": "active"}, 30, 0.5)
        lab.figure("everything stopped by SIGSTOP: active again after", time.monotonic() - begun)
        wait("alpha to be MASTER", lambda: alpha.state() == "MASTER")
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP" and not bravo.has_address(VIP))
        for pid in before:
            check(not alpha.ok(f"kill -0 {pid}"), f"process {pid} of before is gone")
        equal(alpha.sh("pgrep -c -x tandemd"), "2")


@case("watchdog: the guardian alone stands still")
def watchdog_guardian(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        guardian, daemon = workers(alpha)
        alpha.sh(f"kill -STOP {guardian}")
        wait("systemd to start it again", lambda: alpha.unit("tandemd", "NRestarts", "ActiveState")
             == {"NRestarts": "1", "ActiveState": "active"}, 30, 0.5)
        wait("one MASTER", lambda: {alpha.state(), bravo.state()} == {"MASTER", "BACKUP"})
        check(alpha.has_address(VIP) != bravo.has_address(VIP), "the address is in one place")
        check(not alpha.ok(f"kill -0 {guardian} {daemon}"), "nothing of before is left")


@case("crash: the daemon is killed, and the guardian starts it again")
def crash_daemon(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        guardian, daemon = workers(alpha)
        begun = time.monotonic()
        alpha.sh(f"kill -9 {daemon}")
        wait("bravo to take over", lambda: bravo.has_address(VIP), 5)
        lab.figure("daemon killed: bravo has the address after", time.monotonic() - begun)
        wait("another daemon", lambda: alpha.ok(f"pgrep -P {guardian} -x tandemd"), 10)
        wait("alpha to be MASTER again", lambda: alpha.ok("tandemadm status") and alpha.state() == "MASTER")
        wait("bravo to be BACKUP", lambda: not bravo.has_address(VIP))
        equal(alpha.unit("tandemd", "ActiveState", "NRestarts", "MainPID"),
              {"ActiveState": "active", "NRestarts": "0", "MainPID": guardian})


@case("crash: guardian killed, then guardian and daemon at once")
def crash_guardian(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        guardian, daemon = workers(alpha)
        for round_, victims in ((1, guardian), (2, None)):
            victims = victims or " ".join(workers(alpha))
            alpha.sh(f"kill -9 {victims}")
            wait(f"restart {round_}", lambda n=round_: alpha.unit("tandemd", "NRestarts", "ActiveState")
                 == {"NRestarts": str(n), "ActiveState": "active"}, 30)
            wait("alpha to be MASTER again", lambda: alpha.ok("tandemadm status") and alpha.state() == "MASTER")
            wait("the address to be in one place", lambda: alpha.has_address(VIP) and not bravo.has_address(VIP))
        check(not alpha.ok(f"kill -0 {daemon}"), "the first daemon is gone")
        equal(alpha.sh("pgrep -c -x tandemd"), "2")


@case("failover: power cut, return at boot, silent network, pulled cable")
def failover(lab, name):
    with lab.pair(name) as (alpha, bravo):
        alpha.sh("systemctl enable tandemd")
        up(alpha, bravo)
        # Silent: each is alone, both are MASTER; then one gives way.
        alpha.wire(LAN, False)
        wait("bravo to take over from what it cannot hear", lambda: bravo.state() == "MASTER", 10)
        equal(alpha.state(), "MASTER")
        alpha.wire(LAN, True)
        wait("the one with the lower priority to give way", lambda: bravo.state() == "BACKUP"
             and not bravo.has_address(VIP), 10)
        equal(alpha.state(), "MASTER")
        # A cable that is pulled: alpha knows.
        alpha.carrier(LAN, False)
        wait("alpha to be in FAULT", lambda: alpha.state() == "FAULT" and not alpha.has_address(VIP), 10)
        wait("bravo to take over", lambda: bravo.state() == "MASTER", 10)
        alpha.carrier(LAN, True)
        wait("alpha to take over again", lambda: alpha.state() == "MASTER" and alpha.has_address(VIP), 15)
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP")
        # Power.
        begun = time.monotonic()
        alpha.power_off()
        wait("bravo to take over from a dead machine", lambda: bravo.has_address(VIP), 10)
        lab.figure("power cut: bravo has the address after (advert_int 1 s)", time.monotonic() - begun)
        check(bravo.ok("tandemadm why"), "bravo says why")
        alpha.boot()
        wait("alpha to take over again after its boot", lambda: alpha.state() == "MASTER" and alpha.has_address(VIP), 30)
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP" and not bravo.has_address(VIP))


@case("networkd: its restart and its reload; undisturbed with KeepConfiguration=static")
def networkd(lab, name):
    with lab.pair(name) as (alpha, bravo):
        up(alpha, bravo)
        # As it comes, networkd removes every address of the interface for a moment, its own ones included.
        alpha.sh("systemctl restart systemd-networkd")
        wait("alpha to be MASTER again", lambda: alpha.state() == "MASTER" and alpha.has_address(VIP), 15)
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP" and not bravo.has_address(VIP), 15)
        alpha.sh("for f in /etc/systemd/network/*.network; do echo KeepConfiguration=static >>$f; done; networkctl reload")
        wait("alpha to be MASTER", lambda: alpha.state() == "MASTER" and alpha.has_address(VIP), 15)
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP")
        since = alpha.status()["instances"][0]["last_transition"]
        for command in ("systemctl restart systemd-networkd", "networkctl reload"):
            alpha.sh(command)
            alpha.sh("systemctl is-active -q systemd-networkd && networkctl status eth0 | grep -q configured")
            wait(f"the address after {command}", lambda: alpha.has_address(VIP), 10)
            equal((command, alpha.status()["instances"][0]["last_transition"]), (command, since))


HARDENED = """
use_vmac = true
accept = false
virtual_routes = ["203.0.113.0/24 dev eth1"]
virtual_rules = ["from 203.0.113.7 lookup 100 priority 100"]
track_script = [{ name = "disk", weight = -10 }]
notify = ["/etc/tandem/note.sh"]
state_file = "/run/tandem/web.state"
"""
SCRIPTS = """
[[track.script]]
name = "disk"
command = ["/bin/sh", "-c", "id -un >/var/lib/lab/tracked && df / >/dev/null"]
interval = "1s"
"""


@case("hardening of the unit breaks nothing")
def hardening(lab, name):
    with lab.pair(name) as (alpha, bravo):
        for machine in (alpha, bravo):
            machine.sh("install -d -o tandem_script /var/lib/lab")
            machine.write("/etc/tandem/note.sh", '#!/bin/sh\necho "$3 $(id -un)" >>/var/lib/lab/noted\n', "755")
            machine.write(CONFIG, vrrp(machine, HARDENED) + SCRIPTS)
            machine.sh("tandemadm config check && systemctl start tandemd", timeout=60)
        wait("alpha to be MASTER", lambda: alpha.state() == "MASTER")
        wait("bravo to be BACKUP", lambda: bravo.state() == "BACKUP")
        wait("the address", lambda: alpha.has_address(VIP), 10)
        check("00:00:5e:00:01:33" in alpha.sh("ip -d link show type macvlan"), "the virtual MAC is on a macvlan")
        check("tandem" in alpha.sh("nft list ruleset"), "accept = false has made a table in nftables")
        check("203.0.113.0/24" in alpha.sh("ip route"), "the route is there")
        check("203.0.113.7" in alpha.sh("ip rule"), "the rule is there")
        wait("notify as tandem_script", lambda: "MASTER tandem_script" in alpha.sh("cat /var/lib/lab/noted"), 10)
        equal(alpha.sh("cat /var/lib/lab/tracked"), "tandem_script")
        equal(alpha.sh("cat /run/tandem/web.state").upper(), "MASTER")
        check(not bravo.ok(f"ping -c 1 -W 2 {VIP}"), "accept = false drops what is sent to the address")

        guardian, daemon = workers(alpha)
        threads = alpha.sh(f"ps -L -o cls=,comm= -p {daemon}")
        check("RR" in threads.split(), f"a thread has real-time scheduling\n{threads}")
        status = alpha.sh(f"cat /proc/{daemon}/status")
        check(int(re.search(r"VmLck:\s+(\d+)", status).group(1)) > 0, "memory is locked")
        check(re.search(r"NoNewPrivs:\s+1", status), "NoNewPrivileges holds")
        check(re.search(r"Seccomp:\s+2", status), "the system call filter holds")
        for word in ("not permitted", "ermission denied", "Read-only file system", "warn"):
            lines = [line for line in alpha.journal().splitlines() if word in line]
            check(not lines, f"nothing in the journal about '{word}': {lines}")
        verify = alpha.run("systemd-analyze verify --man=no tandemd.service")
        check(verify.rc == 0 and not verify.err, f"systemd-analyze verify: {verify.err}")
        overall = alpha.sh("systemd-analyze security --no-pager tandemd | tail -1")
        lab.figure("systemd-analyze security", re.search(r"(\d+\.\d+ \w+)", overall).group(1))

        alpha.sh("systemctl stop tandemd", timeout=60)
        wait("bravo to be MASTER", lambda: bravo.state() == "MASTER" and bravo.has_address(VIP), 10)
        check(not alpha.sh("ip link show type macvlan"), "the macvlan is gone")
        check("tandem" not in alpha.sh("nft list ruleset"), "the table is gone")
        check("203.0.113." not in alpha.sh("ip route; ip rule"), "route and rule are gone")
