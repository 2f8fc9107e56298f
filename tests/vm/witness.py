"""`tandemd --witness` beside the machines: they reach it by eth2, each by a way of its own that can be cut."""

import json
import socket
import subprocess

from lab import PATIENCE, WITNESS, WITNESS_ADDRESS, Failed, wait

# A third of the right is for the way down. An emulated machine takes longer for it than 3 s, and its watchdog would end it.
LEASE, MARGIN = (10, 2) if PATIENCE == 1 else (30, 3)


class Witness:
    """`with Witness(lab, machines) as more:` - it runs, and `more` is what the nodes' configuration says of it."""

    def __init__(self, lab, machines):
        self.program = lab.programs / "tandemd"
        self.work, self.sockets = machines[0].work.parent, machines[0].sockets
        for number, m in enumerate(machines, 11):
            m.sh(f"ip link set {WITNESS} up && ip addr add 203.0.113.{number}/24 dev {WITNESS}")
        self.nodes = [m.sh("tandemd --fingerprint").splitlines()[-1] for m in machines]

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        state = self.work / "witness"
        state.mkdir()
        # As one that has been in use: a new one gives no lease for two minutes.
        (state / "esc.json").write_text(json.dumps({"version": 1, "pair": "esc", "holder": None, "generation": 0, "token": 1,
                                                    "longest_ms": 1000, "released": True}))
        config = self.work / "witness.toml"
        config.write_text(f'[witness_server]\nlisten = "127.0.0.1"\nport = {port}\nstate = "{state}"\n'
                          f'[[witness_server.pair]]\nname = "esc"\nnodes = {json.dumps(self.nodes)}\n')
        log = self.work / "witness.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", self.program, "--witness", "--config", config],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def listens():
            if self.process.poll() is not None:
                raise Failed(f"the witness has ended: {log.read_text()}")
            return "shows the certificate" in log.read_text()

        try:
            wait("the witness to listen", listens)
            with open(f"{self.sockets}/witness", "w") as file:
                file.write(str(port))
            own = subprocess.run([self.program, "--witness", "--fingerprint", "--config", config], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        except BaseException:
            self.__exit__()
            raise
        return (f'[witness]\nkind = "tandemd"\naddress = "{WITNESS_ADDRESS}"\nfingerprint = "{own}"\n'
                f'lease = "{LEASE}s"\nmargin = "{MARGIN}s"\n')

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        return False
