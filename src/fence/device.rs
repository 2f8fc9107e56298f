//! One device that can fence the other node, and the agent that knows how.

use super::Fate;
use super::meta_data::MetaData;
use super::options::Options;
use super::verdict::{Action, Power, Verdict, judge};
use crate::process::{Activity, JobEnd, Program, run_job};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// Between two attempts, and two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of what was killed is waited for.
const GRACE: Duration = Duration::from_secs(5);
/// So much of each output is kept, in bytes. Descriptions are long.
const KEPT: usize = 256 << 10;
/// The longest words of an agent in a message, in characters.
const WORDS: usize = 200;

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Its name, for messages.
    pub name: String,
    /// The agent: `/usr/sbin/fence_ipmilan`.
    pub agent: PathBuf,
    /// What the agent is told. Secrets do not print.
    pub options: Options,
    /// The name of the node that it fences, for agents that find the machine by that.
    pub node: String,
    /// How long the agent may take for one action. It and all that it has started are killed then.
    pub timeout: Duration,
    /// How often `off` is tried; 0 is once.
    pub attempts: u32,
    meta_data: OnceCell<MetaData>,
}

impl Device {
    /// A device that is given 60 s for each action and tried twice.
    pub fn new(
        name: impl Into<String>,
        agent: impl Into<PathBuf>,
        options: Options,
        node: impl Into<String>,
    ) -> Self {
        Device {
            name: name.into(),
            agent: agent.into(),
            options,
            node: node.into(),
            timeout: Duration::from_secs(60),
            attempts: 2,
            meta_data: OnceCell::new(),
        }
    }

    /// Has the agent do something, once. Ends some seconds after the timeout or `cancel` at the latest.
    pub async fn run(&self, action: Action, cancel: &CancellationToken, activity: &Activity) -> Verdict {
        match self.call(action, cancel, activity).await {
            Ok((status, stdout, stderr)) => {
                let words = self.words(&stdout, &stderr);
                tracing::debug!(device = %self.name, "{}: exit status {status}: {words}", action.word());
                judge(action, status, &stdout, &stderr, &words)
            }
            Err(why) => Verdict::Failed(format!("{} {why}", action.word())),
        }
    }

    /// What the agent says of itself; asked once.
    pub(super) async fn meta_data(
        &self,
        cancel: &CancellationToken,
        activity: &Activity,
    ) -> Result<&MetaData, String> {
        let read = || async {
            match self.call(Action::MetaData, cancel, activity).await? {
                (0, stdout, _) => MetaData::parse(&stdout).map_err(|e| format!("cannot be read: {e}")),
                (status, stdout, stderr) => {
                    Err(format!("ended with exit status {status}: {}", self.words(&stdout, &stderr)))
                }
            }
        };
        self.meta_data.get_or_try_init(read).await.map_err(|e| format!("its metadata {e}"))
    }

    /// Switches the machine off and makes sure of it. False: it may still run; `troubles` says why.
    pub(super) async fn off(
        &self,
        fate: Fate,
        cancel: &CancellationToken,
        activity: &Activity,
        troubles: &mut Vec<String>,
    ) -> bool {
        // Without its description it is taken to know everything, so that nothing is believed unseen.
        let can = match self.meta_data(cancel, activity).await {
            Ok(meta) => (meta.has_action("off"), meta.has_action("status")),
            Err(why) => {
                troubles.push(format!("{}: {why}", self.name));
                (true, true)
            }
        };
        for attempt in 1..=self.attempts.max(1) {
            if cancel.is_cancelled() {
                troubles.push(format!("{}: cancelled", self.name));
                return false;
            }
            if attempt > 1 {
                tokio::time::sleep(PAUSE).await;
            }
            let done = match (fate, can) {
                // It is on again afterwards, so there is nothing to be seen.
                (Fate::Reboot, (false, _)) => self.done(Action::Reboot, cancel, activity).await,
                (_, (_, sees)) => match self.done(Action::Off, cancel, activity).await {
                    Ok(()) if sees => self.is_off(cancel, activity).await,
                    other => other,
                },
            };
            match done {
                Ok(()) => return true,
                Err(why) => troubles.push(format!("{}: {why}", self.name)),
            }
        }
        false
    }

    /// Switches the machine on again after [`Self::off`]; why it could not. What can only reboot has done so already.
    pub(super) async fn on_again(&self, cancel: &CancellationToken, activity: &Activity) -> Option<String> {
        // Without its description it was switched off.
        let off = self.meta_data(cancel, activity).await.map_or(true, |m| m.has_action("off"));
        let failed = if off { self.done(Action::On, cancel, activity).await.err() } else { None };
        failed.map(|why| format!("{}: it stays off: {why}", self.name))
    }

    async fn done(
        &self,
        action: Action,
        cancel: &CancellationToken,
        activity: &Activity,
    ) -> Result<(), String> {
        match self.run(action, cancel, activity).await {
            Verdict::Done | Verdict::Status(_) => Ok(()),
            Verdict::Failed(why) => Err(why),
        }
    }

    /// Some machines need a while: it is looked at for as long as one action may take.
    async fn is_off(&self, cancel: &CancellationToken, activity: &Activity) -> Result<(), String> {
        let look = async {
            loop {
                match self.run(Action::Status, cancel, activity).await {
                    Verdict::Status(Power::Off) => return Ok(()),
                    Verdict::Status(Power::On) | Verdict::Done => tokio::time::sleep(PAUSE).await,
                    Verdict::Failed(why) => {
                        return Err(format!("off succeeded, but whether it is off is not known: {why}"));
                    }
                }
            }
        };
        let on = "off succeeded, but the machine is still on".to_owned();
        tokio::time::timeout(self.timeout, look).await.unwrap_or(Err(on))
    }

    async fn call(
        &self,
        action: Action,
        cancel: &CancellationToken,
        activity: &Activity,
    ) -> Result<(i32, String, String), String> {
        let mut program = Program::new(self.agent.clone(), Vec::<String>::new());
        program.input = self.options.input(action, &self.node);
        program.keep = KEPT;
        program.checked = true;
        let cancel = cancel.child_token();
        let job = run_job(&program, &cancel, activity);
        tokio::pin!(job);
        let end = tokio::select! {
            biased;
            end = &mut job => end,
            () = tokio::time::sleep(self.timeout) => {
                cancel.cancel();
                // One that hangs in the kernel is left to itself: the next way has to be tried.
                let _ = tokio::time::timeout(GRACE, job).await;
                return Err(format!("took longer than {} s", self.timeout.as_secs_f64()));
            }
        };
        match end {
            JobEnd::Exit { status, stdout, stderr } => Ok((status, stdout, stderr)),
            JobEnd::Signal(n) => Err(format!("was killed by signal {n}")),
            JobEnd::Cancelled => Err("was cancelled".to_owned()),
            JobEnd::NotStarted(why) => Err(format!("could not be started: {}", self.options.hide(&why))),
        }
    }

    /// The agent's last line, without secrets: of what may have lost its beginning, and half a secret with it, only whole
    /// lines count.
    fn words(&self, stdout: &str, stderr: &str) -> String {
        let last = |text: &str| {
            let whole = if text.len() >= KEPT { text.split_once('\n')?.1 } else { text };
            let line = whole.lines().rev().map(str::trim).find(|l| !l.is_empty())?;
            let hidden = self.options.hide(line);
            Some(hidden.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect())
        };
        last(stderr).or_else(|| last(stdout)).unwrap_or_else(|| "it said nothing".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_words_are_one_line_without_secrets() {
        let options = Options::new([("password".to_owned(), "hush".to_owned())]).unwrap();
        let d = Device::new("x", "/x", options, "bravo");
        assert_eq!(d.words("out\n", " login with hush\x1b failed \n\n"), "login with ****  failed");
        assert_eq!(d.words("out\n", "\n"), "out");
        assert_eq!(d.words("", ""), "it said nothing");
        // Half a secret.
        assert_eq!(d.words(&"ush".repeat(KEPT), ""), "it said nothing");
        assert_eq!(d.words("", &format!("{}\nend", "ush".repeat(KEPT))), "end");
        assert_eq!(d.words(&"x".repeat(1000), "").len(), WORDS);
    }
}
