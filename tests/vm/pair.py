"""tandemd with resources on both machines: configured, started, and asked how it stands."""

import json

from lab import Failed, wait

ADDRESS = "192.0.2.100"
CONFIG = "/etc/tandem/tandem.toml"


def config(machine, more, nopreempt=True, track=False, demote_timeout="60s"):
    """An ESC-like pair: one address, DRBD, a file system, and `more`."""
    tracked = 'track_file = ["manual"]' if track else ""
    manual = '[[track.file]]\nname = "manual"\nfile = "/run/tandem/weight"\nweight = 1\n' if track else ""
    return f"""
[node]
name = "{machine.name}"

[[vrrp_instance]]
name = "web"
interface = "eth0"
virtual_router_id = 51
priority = {150 if machine.name == "alpha" else 100}
nopreempt = {"true" if nopreempt else "false"}
virtual_ipaddress = ["{ADDRESS}/24"]
{tracked}

[activation]
vrrp_instance = "web"

[[resource]]
name = "data"
kind = "drbd"
drbd_resource = "r0"
wait_connect = "10s"
demote_timeout = "{demote_timeout}"

[[resource]]
name = "fs"
kind = "filesystem"
device = "/dev/drbd0"
mount_point = "/srv/data"
fstype = "ext4"
depend_on = "data:promoted"
{more}
{manual}
"""


def start(first, second, more, wait_for="fs", **settings):
    """tandemd runs on both, the first one is active, the second one follows. `wait_for`: the resource that has to be up
    on the first one; none: nothing is waited for."""
    for m in (first, second):
        m.sh("cd /src && bash -e /lab/resources.sh && systemctl daemon-reload && sync", timeout=60)
        m.write(CONFIG, config(m, more, **settings))
        m.sh("tandemadm config check")
    for m in (first, second):
        m.sh("systemctl start tandemd", timeout=60)
    if wait_for is None:
        return
    wait(f"{first.name} to be active", lambda: active(first, wait_for), 90)
    wait(f"{second.name} to be BACKUP, with its data started",
         lambda: state(second) == "BACKUP" and resource(second, "data")["level"] == "started", 60)


def status(machine):
    result = machine.run("tandemadm status --json")
    if result.rc != 0:
        raise Failed(f"{machine.name}: {result.err}")
    return json.loads(result.out)


def state(machine):
    """The state of the VRRP instance."""
    return status(machine)["instances"][0]["state"].upper()


def resource(machine, name):
    """One entry of status --json."""
    for one in status(machine)["resources"]["resources"]:
        if one["name"] == name:
            return one
    raise Failed(f"{machine.name} has no resource {name}")


def active(machine, last):
    """MASTER, with the address, and the last resource up."""
    if not machine.has_address(ADDRESS):
        raise Failed(f"{machine.name} does not have the address:\n{machine.run('tandemadm status').out}")
    return state(machine) == "MASTER" and resource(machine, last)["state"] == "started"


def data(machine):
    """Where the replicated data stands; empty if it cannot be read now."""
    result = machine.run("tandemadm data status data --json")
    return (json.loads(result.out)[0].get("status") or {}) if result.out else {}


def problems(machine):
    """What `tandemadm health` and `status -v` say."""
    return machine.run("tandemadm health; tandemadm status -v").out
