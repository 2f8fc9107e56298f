//! A client that asks for the address every two milliseconds.

use std::process::{Child, Command, Stdio};

/// ping(8) on node c until it is stopped.
pub struct Pinger {
    child: Child,
}

impl Pinger {
    pub fn start(address: &str) -> Self {
        let child = Command::new("ip")
            .args(["netns", "exec", "c", "ping", "-n", "-D", "-i", "0.002", address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ping (iputils-ping) is needed");
        super::sleep(300);
        Pinger { child }
    }

    /// Ends it; the longest time without an answer, in milliseconds.
    pub fn outage_ms(mut self) -> f64 {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("kill");
        let mut text = String::new();
        std::io::Read::read_to_string(self.child.stdout.as_mut().expect("output"), &mut text).expect("read");
        self.child.wait().expect("wait");
        let times: Vec<f64> = text
            .lines()
            .filter(|l| l.contains("time="))
            .filter_map(|l| l.strip_prefix('[')?.split(']').next()?.parse().ok())
            .collect();
        assert!(times.len() > 50, "ping got no answers:\n{text}");
        times.windows(2).map(|w| (w[1] - w[0]) * 1000.0).fold(0.0, f64::max)
    }
}
