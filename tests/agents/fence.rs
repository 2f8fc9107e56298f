//! Fencing: Debian's `fence_dummy`, and agents of our own that hang, lie and fail.

use crate::support::SOON;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tandemd::fence::{Action, Device, Fate, Fence, Fenced, NotFenced, Options, Power, Verdict, check};
use tandemd::process::Activity;
use tokio_util::sync::CancellationToken;

/// The beginning of an agent: reads its options into variables, keeps what it was told, and describes itself.
const AGENT: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
[ $# = 0 ] || { echo "arguments: $*" >> arguments; exit 1; }
while IFS='=' read -r name value; do eval "$name=\$value"; done
echo "$action" >> "told.$(basename "$0")"
if [ "$action" = metadata ]; then
  echo "<resource-agent name='x'><parameters><parameter name='port'/><parameter name='password'/></parameters><actions>"
  for a in $actions_known; do echo "<action name='$a'/>"; done
  echo "</actions></resource-agent>"
  exit 0
fi
"#;

struct Bench {
    dir: tempfile::TempDir,
    cancel: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tandem-fence.").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Bench { dir, cancel: CancellationToken::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// An agent of our own that can do `actions`, and how.
    fn device(&self, name: &str, actions: &str, text: &str) -> Device {
        let head = AGENT.replacen('\n', &format!("\nactions_known='{actions}'\n"), 1);
        let agent = self.script(name, &format!("{head}{text}\n"));
        let mut device = Device::new(name, agent, options(&[("password", "hush-hush")]), "bravo");
        device.timeout = SOON;
        device.attempts = 1;
        device
    }

    /// What it was told, in order.
    fn told(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(&format!("told.{name}"))).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    async fn run(&self, device: &Device, action: Action) -> Verdict {
        device.run(action, &self.cancel, &Activity::default()).await
    }

    async fn fence(&self, fence: &Fence) -> Result<Fenced, NotFenced> {
        let activity = Activity::default();
        let done = fence.fence(&self.cancel, &activity).await;
        assert!(!self.path("arguments").exists(), "an agent was given arguments");
        done
    }
}

const ALL: &str = "off on reboot status monitor metadata";
/// A machine whose power is a file.
const POWER: &str = r#"case $action in
  off | on) echo "$action" > power ;;
  status) [ "$(cat power)" = off ] && { echo 'Status: OFF'; exit 2; }; echo 'Status: ON' ;;
esac"#;

fn options(all: &[(&str, &str)]) -> Options {
    Options::new(all.iter().map(|(n, v)| (n.to_string(), v.to_string()))).unwrap()
}

fn fence(levels: Vec<Vec<Device>>) -> Fence {
    Fence { levels, fate: Fate::Off, deadline: 3 * SOON }
}

#[tokio::test]
async fn off_counts_when_status_says_so() {
    let b = Bench::new();
    let f = fence(vec![vec![b.device("x", ALL, POWER)]]);
    assert_eq!(b.fence(&f).await, Ok(Fenced { level: 1, troubles: vec![] }));
    assert_eq!(b.told("x"), "metadata off status");
    // Again, and it is still off.
    assert!(b.fence(&f).await.is_ok());
    assert_eq!(b.told("x"), "metadata off status off status");
}

#[tokio::test]
async fn a_reboot_is_off_verified_and_on_again() {
    let b = Bench::new();
    let reboot = |device| Fence { fate: Fate::Reboot, ..fence(vec![vec![device]]) };
    let on_again = async |f: &Fence| f.on_again(1, &b.cancel, &Activity::default()).await;
    let f = reboot(b.device("x", ALL, POWER));
    assert!(b.fence(&f).await.is_ok());
    assert_eq!(b.told("x"), "metadata off status");
    assert_eq!(on_again(&f).await, [""; 0]);
    assert_eq!(b.told("x"), "metadata off status on");
    // Fenced all the same, if it stays off.
    let f = reboot(b.device("y", ALL, &format!("[ $action = on ] && exit 1\n{POWER}")));
    assert!(b.fence(&f).await.is_ok());
    assert_eq!(on_again(&f).await, ["y: it stays off: on ended with exit status 1: it said nothing"]);
    // What cannot switch off but reboot is believed, and is on again.
    let f = reboot(b.device("z", "reboot status", "exit 0"));
    assert!(b.fence(&f).await.is_ok());
    assert_eq!(on_again(&f).await, [""; 0]);
    assert_eq!(b.told("z"), "metadata reboot");
    // What is to stay off is left off.
    let f = fence(vec![vec![b.device("w", ALL, POWER)]]);
    assert!(b.fence(&f).await.is_ok() && on_again(&f).await.is_empty());
    assert_eq!(b.told("w"), "metadata off status");
}

#[tokio::test]
async fn an_agent_that_lies_is_not_believed() {
    let b = Bench::new();
    // It says that it has switched off, and the machine is on.
    let mut lies = b.device("lies", ALL, "[ $action = status ] && echo 'Status: ON'; exit 0");
    lies.timeout = Duration::from_secs(8);
    let not = b.fence(&fence(vec![vec![lies]])).await.unwrap_err().to_string();
    assert!(not.contains("lies: off succeeded, but the machine is still on"), "{not}");
    // It cannot tell.
    let blind = b.device("blind", ALL, "[ $action = status ] && { echo 'no answer' >&2; exit 1; }; exit 0");
    let not = b.fence(&fence(vec![vec![blind]])).await.unwrap_err().to_string();
    assert!(not.contains("is not known: status ended with exit status 1: no answer"), "{not}");
    // It does not understand what it is asked.
    let usage =
        b.device("usage", ALL, "[ $action = status ] && { echo 'usage: x [-h]' >&2; exit 2; }; exit 0");
    assert!(b.fence(&fence(vec![vec![usage]])).await.is_err());
    // It never said that it can tell.
    let fabric = b.device("fabric", "off on metadata", "exit 0");
    assert!(b.fence(&fence(vec![vec![fabric]])).await.is_ok());
    assert_eq!(b.told("fabric"), "metadata off");
}

#[tokio::test]
async fn what_takes_a_while_to_go_off_is_waited_for() {
    let b = Bench::new();
    let text =
        "[ $action = status ] || exit 0; echo . >> looks; [ $(wc -l < looks) -ge 3 ] && exit 2; exit 0";
    let f = fence(vec![vec![b.device("slow", ALL, text)]]);
    assert!(b.fence(&f).await.is_ok());
    assert_eq!(b.told("slow"), "metadata off status status status");
}

#[tokio::test]
async fn a_failure_is_tried_again_and_then_the_next_way_is_taken() {
    let b = Bench::new();
    let once = format!("[ $action = off ] && [ ! -e tried ] && {{ > tried; exit 1; }}\n{POWER}");
    let mut d = b.device("once", ALL, &once);
    d.attempts = 2;
    let done = b.fence(&fence(vec![vec![d]])).await.unwrap();
    assert_eq!((done.level, done.troubles.len()), (1, 1), "{done:?}");
    assert_eq!(b.told("once"), "metadata off off status");

    let fails = "[ $action = off ] && { echo \"cannot log in with $password\" >&2; exit 1; }; exit 0";
    let levels = vec![
        vec![b.device("psu1", ALL, POWER), b.device("psu2", ALL, fails)],
        vec![],
        vec![b.device("last", ALL, POWER)],
    ];
    let done = b.fence(&fence(levels)).await.unwrap();
    assert_eq!(done.level, 3);
    assert_eq!(done.troubles, ["psu2: off ended with exit status 1: cannot log in with ****"]);
    // The ways that come after it are left alone, and so is a device beside one that has failed.
    let levels = vec![
        vec![b.device("a", ALL, fails), b.device("beside", ALL, POWER)],
        vec![b.device("b", ALL, POWER)],
        vec![b.device("c", ALL, POWER)],
    ];
    assert_eq!(b.fence(&fence(levels)).await.unwrap().level, 2);
    assert_eq!((b.told("beside"), b.told("c")), (String::new(), String::new()));
}

#[tokio::test]
async fn what_hangs_is_killed_and_the_next_way_is_taken() {
    let b = Bench::new();
    let hangs = "[ $action = off ] || exit 0; echo $$ > pid; trap '' TERM; while :; do sleep 1; done";
    let mut d = b.device("hangs", ALL, hangs);
    d.timeout = Duration::from_secs(8);
    let done = b.fence(&fence(vec![vec![d], vec![b.device("next", ALL, POWER)]])).await.unwrap();
    assert_eq!(done.level, 2);
    assert_eq!(done.troubles, ["hangs: off took longer than 8 s"]);
    let pid = std::fs::read_to_string(b.path("pid")).unwrap();
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    assert!(!stat.is_ok_and(|s| !s.contains(") Z ")), "{pid} still runs");
}

#[tokio::test]
async fn the_deadline_and_a_cancellation_end_it_unfenced() {
    let b = Bench::new();
    let hangs = "[ $action = off ] || exit 0; > begun; while :; do sleep 1; done";
    let f = Fence {
        deadline: Duration::from_secs(8),
        ..fence(vec![vec![b.device("x", ALL, hangs)], vec![b.device("y", ALL, POWER)]])
    };
    let before = Instant::now();
    let not = b.fence(&f).await.unwrap_err().to_string();
    assert!(not.contains("longer than 8 s") && before.elapsed() < 2 * SOON, "{not}");
    let _ = std::fs::remove_file(b.path("begun"));
    let f = fence(vec![vec![b.device("z", ALL, hangs)], vec![b.device("w", ALL, POWER)]]);
    let begun = b.path("begun");
    let cancel = b.cancel.clone();
    tokio::spawn(async move {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    });
    let not = b.fence(&f).await.unwrap_err().to_string();
    assert!(not.contains("z: off was cancelled"), "{not}");
    assert_eq!((b.told("y"), b.told("w")), (String::new(), String::new()));
    assert_eq!(b.fence(&fence(vec![])).await.unwrap_err().to_string(), "not fenced: no way is configured");
}

#[tokio::test]
async fn devices_are_watched_and_checked_before_they_are_needed() {
    let b = Bench::new();
    let fails = "[ $action = monitor ] && { echo \"$password is wrong\" >&2; exit 1; }; exit 0";
    let f = fence(vec![vec![b.device("good", ALL, POWER)], vec![b.device("bad", ALL, fails)]]);
    let failed = f.monitor(&b.cancel, &Activity::default()).await;
    assert_eq!(failed, [("bad".to_owned(), "monitor ended with exit status 1: **** is wrong".to_owned())]);

    assert_eq!(check(&f.levels[0][0], Fate::Off).await, Ok(vec![]));
    let mut d = b.device("wrong", ALL, POWER);
    d.options = options(&[("prot", "1")]);
    assert_eq!(
        check(&d, Fate::Off).await,
        Err(vec!["the agent has no option prot; did you mean port?".into()])
    );
    let none = Device::new("none", b.path("fence_none"), options(&[]), "bravo");
    assert!(check(&none, Fate::Off).await.unwrap_err()[0].contains("there is no agent"));
    let rubbish =
        Device::new("rubbish", b.script("rubbish", "#!/bin/sh\necho hello\n"), options(&[]), "bravo");
    assert!(check(&rubbish, Fate::Off).await.unwrap_err()[0].contains("metadata cannot be read"));
    std::fs::set_permissions(b.path("rubbish"), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(check(&rubbish, Fate::Off).await.unwrap_err()[0].contains("writable by others"));
    let verdict = b.run(&rubbish, Action::Off).await;
    assert!(matches!(&verdict, Verdict::Failed(why) if why.contains("writable by others")), "{verdict:?}");
}

/// Debian's own, installed or unpacked by `scripts/test`.
fn debians(b: &Bench, status_file: &Path) -> Device {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fence-agents");
    let root = if Path::new("/usr/sbin/fence_dummy").exists() { PathBuf::from("/") } else { unpacked };
    let (library, agent) = (root.join("usr/share/fence"), root.join("usr/sbin/fence_dummy"));
    assert!(agent.exists(), "no fence_dummy: scripts/test unpacks it");
    let text = format!("#!/bin/sh\nPYTHONPATH={} exec {} \"$@\"\n", library.display(), agent.display());
    let wrapper = b.script("fence_dummy", &text);
    let file = status_file.display().to_string();
    let mut device = Device::new("dummy", wrapper, options(&[("status_file", &file)]), "bravo");
    device.timeout = 2 * SOON;
    device
}

#[tokio::test]
async fn debians_fence_dummy_is_understood() {
    let b = Bench::new();
    let file = b.path("power");
    std::fs::write(&file, "on").unwrap();
    let d = debians(&b, &file);
    assert_eq!(check(&d, Fate::Off).await, Ok(vec![]));
    assert_eq!(b.run(&d, Action::Monitor).await, Verdict::Done);
    assert_eq!(b.run(&d, Action::Status).await, Verdict::Status(Power::On));
    assert_eq!(b.run(&d, Action::Off).await, Verdict::Done);
    assert_eq!(b.run(&d, Action::Status).await, Verdict::Status(Power::Off));
    assert_eq!(b.run(&d, Action::On).await, Verdict::Done);
    assert_eq!(b.run(&d, Action::Reboot).await, Verdict::Done);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "on");
    assert!(b.fence(&fence(vec![vec![d]])).await.is_ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "off");
    let mut d = debians(&b, &file);
    d.options = options(&[("status_fiel", "x")]);
    let errors = check(&d, Fate::Off).await.unwrap_err();
    assert_eq!(errors, ["the agent has no option status_fiel; did you mean status_file?"]);
}
