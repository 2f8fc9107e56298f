"""tandemd with [[pair]] on both machines: registered, and asked how it stands."""

import json

import drbd
import lab
from lab import PATIENCE, Failed
from pair import ADDRESS, CONFIG, resource
from record import Record

KEY = "Correct-Horse-7"
# In seconds: heartbeat_interval, as it comes, and long_failover_wait. A machine that is emulated may be late for the usual 3 misses;
# and as a witness's lease may last no longer than a node counts as alive, there is more time for a way down.
INTERVAL, MISSES, LONG_WAIT = (1, 3, 10) if PATIENCE == 1 else (1, 10, 20)
# A node that was not heard for so long counts as dead.
DEAD = INTERVAL * MISSES + LONG_WAIT
# Every look starts programs in the machine; emulated, they would take the time that it looks for.
LOOK = 0.1 if PATIENCE == 1 else 1.0
SERVING = ("primary_active", "primary_lost_secondary", "secondary_active")


def wait(what, condition, limit=60.0):
    """As `lab.wait`, without haste."""
    return lab.wait(what, condition, limit, LOOK)


def config(machine, failover="automatic", more=""):
    """An address, DRBD, ext4 and a process that writes numbered records."""
    primary = machine.name == "alpha"
    return f"""
[node]
name = "{machine.name}"

[[vrrp_instance]]
name = "web"
interface = "eth0"
virtual_router_id = 51
priority = {150 if primary else 100}
virtual_ipaddress = ["{ADDRESS}/24"]

[[pair]]
name = "esc"
role = "{'primary' if primary else 'secondary'}"
peer = "192.0.2.{2 if primary else 1}"
direct_link = {{ interface = "eth1", local = "198.51.100.{machine.number}", peer = "198.51.100.{3 - machine.number}" }}
vrrp_instance = "web"
failover = "{failover}"
heartbeat_misses = {MISSES}
long_failover_wait = "{LONG_WAIT}s"

{more}

[[resource]]
name = "data"
kind = "drbd"
drbd_resource = "r0"
run_forever = true

[[resource]]
name = "fs"
kind = "filesystem"
device = "/dev/drbd0"
mount_point = "/srv/data"
fstype = "ext4"
depend_on = "data:promoted"

[[resource]]
name = "writer"
kind = "exec"
command = ["/lab/writer.py", "{drbd.FILE}", "{drbd.ACKS}", "0.05"]
depend_on = "fs"
"""


def resources(machines):
    """What README.md installs for resources, once: the handler that DRBD calls, before any copy begins, is in it."""
    if PATIENCE > 1:
        for m in machines:
            m.write("/etc/systemd/system/tandemd.service.d/slow.conf", "[Service]\nWatchdogSec=5min\n")
    lab.at_once(machines, "test -e /usr/lib/tandemd/tandemd-drbd-handler || { cd /src && bash -e /lab/resources.sh; }"
                          " && systemctl daemon-reload && sync", timeout=60)


def registered(alpha, bravo, **settings):
    """tandemd runs on both and each has pinned the other one's certificate; gives the records of both, and the order to register,
    which still runs: the disks may still be copied."""
    records = Record(alpha), Record(bravo)
    resources((alpha, bravo))
    for m in (alpha, bravo):
        m.write(CONFIG, config(m, **settings))
        m.write("/root/tandem.key", KEY + "\n", mode="600")
    lab.at_once((alpha, bravo), "tandemadm config check && systemctl enable -q tandemd && sync", timeout=60)
    # Neither waits for the other one.
    starts = [m.stream("systemctl start tandemd", timeout=60 * PATIENCE) for m in (alpha, bravo)]
    for m, start in zip((alpha, bravo), starts):
        if start.result(60 * PATIENCE).rc != 0:
            raise Failed(f"tandemd does not start on {m.name}:\n{m.journal()}")
    wait("alpha to stand alone", lambda: shown(alpha) == "stand_alone", 60)
    wait("bravo to stand alone", lambda: shown(bravo) == "stand_alone", 60)
    bravo.sh("tandemadm ha authkey /root/tandem.key")
    # It stays until the pair is whole, so as long as the first copy takes.
    asked = alpha.stream("tandemadm ha register --authkey-file /root/tandem.key", timeout=600 * PATIENCE)
    wait("alpha to be registered", lambda: knows(alpha, asked))
    wait("the pair to be Primary Active, Secondary Syncing",
         lambda: (shown(alpha), shown(bravo)) == ("primary_active", "secondary_syncing"), 60)
    return (*records, asked)


def knows(machine, asked):
    """The other node is pinned there; `asked` is the order to register."""
    if asked.done.is_set() and asked.end["rc"] not in (0, 2):
        raise Failed(f"not registered:\n{said(asked)}")
    return pair(machine)["registered"]


def said(asked):
    return "\n".join(asked.lines) + "\n" + asked.end["err"]


def ended_whole(asked):
    """The order to register has stayed until the pair was whole, and says so."""
    result = asked.result(60 * PATIENCE)
    if result.rc != 0 or "100 %" not in result.out:
        raise Failed(f"the registration ended with {result.rc}:\n{said(asked)}")


def whole(alpha, bravo, fencing=drbd.FENCING, **settings):
    """As `registered`, with disks in step; alpha serves, and writes."""
    drbd.prepare((alpha, bravo), fencing=fencing)
    a, b, asked = registered(alpha, bravo, **settings)
    ended_whole(asked)
    wait("alpha to serve", lambda: serves(alpha), 60)
    follows(bravo)
    drbd.some_writes(a.acks)
    return a, b


def pair(machine):
    """`ha status --json` of the pair."""
    result = machine.run("tandemadm ha status --json")
    if result.rc not in (0, 2):
        raise Failed(f"{machine.name}: {result.err}")
    return json.loads(result.out)[0]


def shown(machine):
    """The state that operators see."""
    return pair(machine)["state"]


def status(machine):
    """What a registered pair says of itself."""
    found = pair(machine)["status"]
    if found is None:
        raise Failed(f"{machine.name} stands alone")
    return found


def words(machine):
    """`ha status`, for people."""
    return machine.run("tandemadm ha status").out


def serves(machine):
    """The state says so, the address is there, and the last resource is up."""
    if shown(machine) not in SERVING or not machine.has_address(ADDRESS):
        raise Failed(f"{machine.name} does not serve:\n{words(machine)}")
    return resource(machine, "writer")["state"] == "started"


def follows(machine, limit=120):
    """Waits until its data are those of the node that serves."""
    def current():
        s = status(machine)
        if s["data"] != "current" or s["saved"]["synced"] < s["saved"]["latest"]:
            raise Failed(f"{machine.name} does not follow:\n{words(machine)}")
        return True
    wait(f"{machine.name} to have everything", current, limit)


def generation(machine):
    """The highest that anybody has served with."""
    return status(machine)["saved"]["latest"]


def silent(machine, seconds):
    """Waits until the other node has not been heard for so long."""
    def long_enough():
        return status(machine)["peer"]["heard"]["secs"] >= seconds
    wait(f"{machine.name} to have heard nothing for {seconds} s", long_enough, seconds + 30)
