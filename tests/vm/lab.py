"""Two QEMU machines, `alpha` and `bravo`, made from the image of build-image, on two networks of their own.

eth0 (192.0.2.1 and .2) is the LAN, eth1 (198.51.100.1 and .2) the replication link. Nothing leaves the machines:
a network is a pair of unix sockets. eth2 leads to one place only, the witness of a pair, which runs beside the machines (witness.py);
it has no address unless a case gives it one. Each machine begins fresh, on a copy-on-write overlay of the image, with an empty
disk /dev/vdb and the programs to install on /dev/vdc (a tar archive).
"""

import base64
import fcntl
import hashlib
import io
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("TANDEM_VM_CACHE", ROOT / "target/vm"))
PROGRAMS = ["tandemd", "tandemadm", "tandemd-drbd-handler"]
LAN, DATA, WITNESS = "eth0", "eth1", "eth2"
WITNESS_ADDRESS = "203.0.113.9"
DATA_SIZE = 256 << 20
# The archive with the programs is padded to this, so that machines that go on from a saved state find the size they know.
PAYLOAD_SIZE = 512 << 20


class Failed(Exception):
    """What a case expected did not happen."""


class Prerequisite(Exception):
    """Something is missing on this machine; the words say what to do."""


MIRROR = os.environ.get("TANDEM_VM_MIRROR", "http://deb.debian.org/debian")


def mirror_answers():
    try:
        with urllib.request.urlopen(f"{MIRROR}/dists/bookworm/Release", timeout=20):
            return True
    except OSError:
        return False


def accelerator():
    """`kvm` if virtual machines can be made here, else `tcg`. TANDEM_VM_ACCEL decides otherwise."""
    wish = os.environ.get("TANDEM_VM_ACCEL", "")
    if wish not in ("", "kvm", "tcg"):
        raise Prerequisite(f"TANDEM_VM_ACCEL={wish}: kvm or tcg")
    if wish:
        return wish
    try:
        # Without the processor's help (kvm_pvm in a container service) only kernels made for it boot.
        if not any(Path("/sys/module", m).exists() for m in ("kvm_intel", "kvm_amd")):
            return "tcg"
        with open("/dev/kvm", "rb+", buffering=0) as kvm:
            os.close(fcntl.ioctl(kvm, 0xAE01, 0))  # KVM_CREATE_VM
        return "kvm"
    except OSError:
        return "tcg"


ACCEL = accelerator()
# Limits are for a busy machine; emulation is some ten times slower.
PATIENCE = 1 if ACCEL == "kvm" else 6


# Most looks start a program in the machine; emulated, they would take the time that they wait for.
LOOK = 0.02 if PATIENCE == 1 else 0.3


def wait(what, condition, limit=30.0, pause=LOOK):
    """Waits until `condition` gives something true, and returns that; after `limit` (times PATIENCE) says `what`
    was waited for and what was there instead (the text of the last Failed)."""
    end = time.monotonic() + limit * PATIENCE
    seen = ""
    while True:
        try:
            value = condition()
            if value:
                return value
            seen = f"last seen: {value!r}"
        except Failed as e:
            seen = str(e)
        if time.monotonic() > end:
            raise Failed(f"waited {limit * PATIENCE:.0f} s for: {what}\n{seen}")
        time.sleep(pause)


class Result:
    """How a command in a machine ended."""

    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err


class Stream:
    """A command that runs in a machine; its lines come as it writes them."""

    def __init__(self, machine, number):
        self.machine, self.number = machine, number
        self.lines, self.times = [], []
        self.end = None
        self.done = threading.Event()

    def feed(self, message):
        if "line" in message:
            self.times.append(time.monotonic())
            self.lines.append(message["line"])
        else:
            self.end = message
            self.done.set()

    def result(self, limit):
        if not self.done.wait(limit):
            raise Failed(f"{self.machine.name} does not answer")
        return Result(self.end["rc"], "\n".join(self.lines), self.end["err"])


class Machine:
    """One machine. `boot` may be called again after `power_off`: the disks are as they were."""

    def __init__(self, name, number, work, sockets, image, payload):
        self.name, self.number, self.work, self.sockets = name, number, work, sockets
        self.image, self.payload = image, payload
        self.qemu = self.port = self.qmp = None
        self.boots, self.calls, self.streams = 0, 0, {}
        self.cut_nets = set()
        self.lock = threading.Lock()
        self.booted = None
        work.mkdir(parents=True)
        with open(work / "data.img", "wb") as f:
            f.truncate(DATA_SIZE)

    def disk(self, backing, form):
        """The root disk: a copy-on-write overlay."""
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", backing, self.work / "root.qcow2"],
                       check=True)

    def resume_from(self, directory):
        """The first start goes on where `save` left off: a machine that has just booted."""
        self.booted = directory / f"{self.name}.state"
        self.disk(directory / f"{self.name}.qcow2", "qcow2")

    def save(self, directory):
        """Writes down the running machine, memory and disk, and ends it."""
        self.sh("sync; echo 3 >/proc/sys/vm/drop_caches")
        self.monitor("stop")
        self.monitor("migrate", uri=f"exec:cat >{directory}/{self.name}.state")

        def written():
            status = self.monitor("query-migrate").get("status")
            if status == "failed":
                raise Failed("QEMU cannot write down the machine's state")
            return status == "completed"

        wait("QEMU to write down the machine's state", written, 60)
        self.power_off()
        os.rename(self.work / "root.qcow2", directory / f"{self.name}.qcow2")

    # ---- power

    def start(self):
        """Switches the machine on; `ready` waits for it."""
        self.boots += 1
        self.cut_nets.clear()
        listeners = {}
        for name in ("agent", "qmp"):
            path = f"{self.sockets}/{self.name}-{name}"
            if os.path.exists(path):
                os.unlink(path)
            listeners[name] = socket.socket(socket.AF_UNIX)
            listeners[name].bind(path)
            listeners[name].listen(1)
            listeners[name].settimeout(30)
        peer = "bravo" if self.name == "alpha" else "alpha"
        nets = []
        for i, net in enumerate((LAN, DATA)):
            # Machine - hub - wire: cutting the wire loses packets silently, cutting the card is a pulled cable.
            nets += ["-netdev", f"hubport,id=hub-{net},hubid={i}",
                     "-netdev", f"dgram,id=wire-{net},local.type=unix,local.path={self.sockets}/{self.name}-{net},"
                                f"remote.type=unix,remote.path={self.sockets}/{peer}-{net}",
                     "-netdev", f"hubport,id=out-{net},hubid={i},netdev=wire-{net}",
                     "-device", f"virtio-net-pci,id=card-{net},netdev=hub-{net},romfile=,mac=52:54:00:00:{i:02x}:{self.number:02x}"]
        # A card of its own, behind which there is nothing but this address; QEMU runs the command for each connection to it.
        forward = f"{sys.executable} -SE {HERE / 'forward.py'} {self.sockets}/witness"
        nets += ["-netdev", f"hubport,id=hub-{WITNESS},hubid=2",
                 "-netdev", f"user,id=wire-{WITNESS},restrict=on,ipv6=off,net=203.0.113.0/24,"
                            f"guestfwd=tcp:{WITNESS_ADDRESS}:8083-cmd:{forward}",
                 "-netdev", f"hubport,id=out-{WITNESS},hubid=2,netdev=wire-{WITNESS}",
                 "-device", f"virtio-net-pci,id=card-{WITNESS},netdev=hub-{WITNESS},romfile=,mac=52:54:00:00:02:{self.number:02x}"]
        accel = ["-accel", "kvm", "-cpu", "host"] if ACCEL == "kvm" else ["-accel", "tcg,thread=multi", "-cpu", "max"]
        # QEMU ends with us, whatever happens to us.
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *accel,
                   "-smp", "1", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot",
                   "-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd.img",
                   "-append", f"root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 panic=-1 random.trust_cpu=on "
                              f"systemd.hostname={self.name} systemd.show_status=no mitigations=off",
                   "-serial", f"file:{self.work}/console-{self.boots}.log",
                   # writeback, because qcow2's own tables have to survive the power cut
                   "-drive", f"file={self.work}/root.qcow2,format=qcow2,if=virtio,cache=writeback",
                   # What the machine wrote is in the host's page cache, and the host does not die.
                   "-drive", f"file={self.work}/data.img,format=raw,if=virtio,cache=unsafe",
                   "-drive", f"file={self.payload},format=raw,if=virtio,readonly=on",
                   "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
                   "-chardev", f"socket,id=agent,path={self.sockets}/{self.name}-agent", "-device", "virtserialport,chardev=agent,name=lab",
                   "-chardev", f"file,id=journal,path={self.work}/journal-{self.boots}.log", "-device", "virtconsole,chardev=journal",
                   "-chardev", f"socket,id=qmp,path={self.sockets}/{self.name}-qmp", "-mon", "chardev=qmp,mode=control",
                   *nets]
        if self.booted:
            command += ["-incoming", f"exec:cat {self.booted}"]
        log = open(self.work / f"qemu-{self.boots}.log", "wb")
        # A session of its own: the scheduler shares a busy machine between sessions.
        self.qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        try:
            self.port = listeners["agent"].accept()[0]
            self.qmp = listeners["qmp"].accept()[0].makefile("rwb")
        except TimeoutError:
            raise Failed(f"QEMU does not start: {(self.work / f'qemu-{self.boots}.log').read_text()}") from None
        finally:
            for listener in listeners.values():
                listener.close()
        self.monitor("qmp_capabilities")
        self.hello = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.port,), daemon=True).start()

    def ready(self):
        """Waits until the machine's agent answers and systemd has started everything."""
        if self.booted:
            wait("QEMU to read the machine's state", lambda: self.monitor("query-status")["status"] != "inmigrate", 60)
            self.monitor("cont")
            self.booted = None
            # The clock of the wall stood still.
            self.sh(f"date -s @{time.time():.3f}")
            return
        try:
            self.hello.get(timeout=60 * PATIENCE)
        except queue.Empty:
            raise Failed(f"{self.name} did not boot; see {self.work}/console-{self.boots}.log") from None
        self.run("systemctl is-system-running --wait >/dev/null", timeout=60)
        for net in (LAN, DATA):
            wait(f"the address of {net}", lambda net=net: "inet " in self.sh(f"ip -4 addr show {net}"), 30)

    def boot(self):
        self.start()
        self.ready()

    def power_off(self):
        """The plug is pulled."""
        if self.qemu is None:
            return
        self.qemu.kill()
        self.qemu.wait()
        self.qemu = None
        self.port.close()
        self.qmp.close()
        with self.lock:
            for stream in self.streams.values():
                if not stream.done.is_set():
                    stream.feed({"rc": None, "err": f"{self.name} lost its power"})
            self.streams.clear()

    def last_words(self):
        """What its kernel has said, DRBD's side of the story, is beside the journals of a case that failed."""
        if self.qemu is None or self.port is None:
            return
        try:
            (self.work / f"kernel-{self.boots}.log").write_text(self.run("dmesg", timeout=5).out + "\n")
        except (Failed, OSError):
            # It may not be able to speak, and that is why the case failed.
            pass

    # ---- the monitor

    def monitor(self, command, **arguments):
        self.qmp.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline())
            if "error" in answer:
                raise Failed(f"QEMU on {command} {arguments}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def wire(self, net, up):
        """Loses every packet of this network, or no longer does. The machine cannot see it."""
        self.monitor("set_link", name=f"wire-{net}", up=up)

    def carrier(self, net, up):
        """Pulls the cable, or puts it back."""
        self.monitor("set_link", name=f"card-{net}", up=up)

    # ---- commands

    def _read(self, port):
        rest = b""
        while True:
            try:
                data = port.recv(65536)
            except OSError:
                return
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "hello" in message:
                    self.hello.put(message["hello"])
                    continue
                with self.lock:
                    stream = self.streams.get(message["id"])
                    if "rc" in message:
                        self.streams.pop(message["id"], None)
                if stream:
                    stream.feed(message)

    def stream(self, command, timeout=600):
        """Starts a command and returns at once. `timeout` in seconds, not stretched."""
        with self.lock:
            self.calls += 1
            stream = self.streams[self.calls] = Stream(self, self.calls)
        self.port.sendall(json.dumps({"id": stream.number, "cmd": command, "timeout": timeout}).encode() + b"\n")
        return stream

    def run(self, command, timeout=30):
        """Runs a shell command as root and returns its Result, whatever its exit status."""
        return self.end_of(self.stream(command, timeout * PATIENCE), command, timeout)

    def end_of(self, stream, command, timeout):
        """The Result of a command that was started with this timeout, stretched."""
        limit = timeout * PATIENCE
        try:
            result = stream.result(limit + 10)
        except Failed:
            raise Failed(f"{self.name} does not answer; it was asked to: {command}") from None
        if result.rc is None:
            raise Failed(f"on {self.name}, not done after {limit} s: {command}\n{result.out}\n{result.err}")
        return result

    def sh(self, command, timeout=30):
        """Runs a shell command that has to succeed, and returns what it wrote."""
        return self.good(self.run(command, timeout), command)

    def good(self, result, command):
        if result.rc != 0:
            raise Failed(f"on {self.name}, exit status {result.rc}: {command}\n{result.out}\n{result.err}")
        return result.out.strip()

    def ok(self, command, timeout=30):
        """Whether a shell command succeeds."""
        return self.run(command, timeout).rc == 0

    def write(self, path, text, mode="644"):
        """Writes a file, to the disk: it is there after a power cut."""
        data = base64.b64encode(text.encode()).decode()
        self.sh(f"mkdir -p $(dirname {path}) && base64 -d <<<'{data}' >{path} && chmod {mode} {path} && sync {path}")

    # ---- what cases ask for most

    def unit(self, name, *properties):
        """Properties of a unit, as systemctl shows them."""
        names = " ".join(f"-p {p}" for p in properties)
        pairs = (line.partition("=") for line in self.sh(f"systemctl show {names} {name}").splitlines())
        return {key: value for key, _, value in pairs}

    def journal(self, unit="tandemd"):
        """The unit's journal of this boot."""
        return self.sh(f"journalctl -q -o cat -u {unit}")

    def has_address(self, address):
        return f"inet {address}/" in self.sh("ip -4 addr show")

    def status(self):
        """`tandemadm status --json`."""
        return json.loads(self.sh("tandemadm status --json"))

    def state(self, instance="web"):
        """The state of a VRRP instance: `MASTER`, `BACKUP`, ..."""
        for one in self.status()["instances"]:
            if one["name"] == instance:
                return one["state"].upper()
        raise Failed(f"{self.name} has no instance {instance}")


def at_once(machines, command, timeout=30):
    """`sh` on all of them at the same time: it takes as long as on one, if the host has a processor for each."""
    started = [(m, m.stream(command, timeout * PATIENCE)) for m in machines]
    for m, stream in started:
        m.good(m.end_of(stream, command, timeout), command)


def install_commands(heading):
    """The commands by which README.md installs something, without sudo and cargo; `heading` is the line before them."""
    readme = (ROOT / "README.md").read_text()
    block = re.search(heading + r"\n\n((?:    .*\n)+)", readme)
    if not block:
        raise Failed(f"README.md has no block after: {heading}")
    lines = [line.strip().replace("sudo ", "") for line in block.group(1).splitlines()]
    return "".join(line + "\n" for line in lines if not line.startswith("cargo "))


def payload(path, programs):
    """What is on /dev/vdc: the programs and unit files as in the source tree, and our own scripts in lab/."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in PROGRAMS:
            if (programs / name).exists():
                stripped = path.with_name(name)
                subprocess.run(["strip", "-o", stripped, programs / name], check=True)
                tar.add(stripped, f"src/target/release/{name}")
        for directory in ("systemd", "conf"):
            tar.add(ROOT / directory, f"src/{directory}")
        for script in sorted((HERE / "guest").glob("*")):
            tar.add(script, f"lab/{script.name}")
        for name, heading in (("install.sh", "Build and install on both machines:"),
                              ("resources.sh", r"With \[resources\]\(docs/resources.md\) also:")):
            commands = install_commands(heading).encode()
            info = tarfile.TarInfo(f"lab/{name}")
            info.size = len(commands)
            tar.addfile(info, io.BytesIO(commands))
    if path.stat().st_size > PAYLOAD_SIZE:
        raise Prerequisite(f"the programs in {programs} are larger than {PAYLOAD_SIZE >> 20} MiB")
    os.truncate(path, PAYLOAD_SIZE)


class Lab:
    """Makes pairs of machines, and cleans up after each."""

    def __init__(self, programs):
        self.programs = programs
        made = subprocess.run([HERE / "build-image"], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "TANDEM_VM_CACHE": str(CACHE)})
        if made.returncode:
            if not mirror_answers():
                raise Prerequisite(f"no image, and Debian's packages cannot be fetched: {MIRROR} does not answer"
                                   " (TANDEM_VM_MIRROR names another mirror)")
            raise Failed("build-image could not make the image of the machines; its words are above")
        self.image = Path(made.stdout.strip())
        self.figures = []
        version = subprocess.run(["qemu-system-x86_64", "--version"], check=True, stdout=subprocess.PIPE).stdout
        key = hashlib.sha256(version + (HERE / "lab.py").read_bytes() + ACCEL.encode()).hexdigest()[:12]
        self.booted = self.image / f"booted-{key}"
        if not self.booted.exists():
            self._boot_once()

    def _boot_once(self):
        """Boots both machines and writes them down: each case goes on from there, which takes a second and not half
        a minute."""
        for old in self.image.glob("booted-*"):
            shutil.rmtree(old)
        begun = time.monotonic()
        pair = Pair(self, "first-boot")
        directory = pair.work / "booted"
        directory.mkdir()
        try:
            for machine in pair.machines:
                machine.disk(self.image / "root.ext4", "raw")
                machine.start()
            for machine in pair.machines:
                machine.ready()
            self.figure(f"first boot of both machines ({ACCEL})", time.monotonic() - begun)
            for machine in pair.machines:
                machine.save(directory)
            os.rename(directory, self.booted)
        except BaseException as e:
            pair.__exit__(type(e), e, None)
            raise
        pair.__exit__(None, None, None)

    def pair(self, name):
        return Pair(self, name)

    def figure(self, what, value):
        """A measured value for the table at the end."""
        self.figures.append((what, value))


class Pair:
    """`with lab.pair("case") as (alpha, bravo):` - both are up, tandemd is installed and not running."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.work = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
        # Paths of unix sockets have to be short.
        self.sockets = tempfile.mkdtemp(prefix="tandem-vm-")
        payload(self.work / "payload.tar", lab.programs)
        self.machines = [Machine(name, i + 1, self.work / name, self.sockets, lab.image, self.work / "payload.tar")
                         for i, name in enumerate(("alpha", "bravo"))]

    def __enter__(self):
        try:
            for machine in self.machines:
                machine.resume_from(self.lab.booted)
                machine.start()
            for machine in self.machines:
                machine.ready()
            at_once(self.machines, "blockdev --flushbufs /dev/vdc && tar -xf /dev/vdc -C / && cd /src && bash -e /lab/install.sh"
                                   " && systemctl daemon-reload && sync", timeout=60)
            return self.machines
        except BaseException as e:
            self.__exit__(type(e), e, None)
            raise

    def __exit__(self, kind, error, trace):
        if kind is not None:
            for machine in self.machines:
                machine.last_words()
        for machine in self.machines:
            machine.power_off()
        if kind is not None:
            kept = CACHE / "failed" / self.name
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            for machine in self.machines:
                for log in machine.work.glob("*.log"):
                    shutil.copy(log, kept / f"{machine.name}-{log.name}")
            print(f"    logs and journals: {kept}", flush=True)
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)
        return False
