//! Who is on the other end of the control socket.

use crate::control::server::Peer;
use crate::events::{Operator, Who};

/// No login: what the kernel says of daemons (proc_pid_loginuid(5)).
const NOBODY: u32 = u32::MAX;

/// What the kernel knows at once; it waits for an answer, so its process is still the same. Names come later.
pub(in crate::daemon) fn operator(peer: &Peer) -> Who {
    let login = peer.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok());
    let login = login.and_then(|text| text.trim().parse().ok());
    Who::Operator(Operator {
        uid: peer.uid,
        login_uid: login.filter(|uid| *uid != NOBODY && *uid != peer.uid),
        pid: peer.pid,
        ..Operator::default()
    })
}

/// Adds the names. Only local users have one here: whoever asks a directory service may wait for long.
pub(super) fn complete(o: &mut Operator) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    o.user = user(&passwd, o.uid);
    o.login = o.login_uid.and_then(|uid| user(&passwd, uid));
}

/// The user of this id in passwd(5).
fn user(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_local_users() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\n:x:7:7::/:\nbroken\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n";
        assert_eq!(user(passwd, 0).as_deref(), Some("root"));
        assert_eq!(user(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(user(passwd, 7), None);
        assert_eq!(user(passwd, 1), None);
    }

    #[test]
    fn the_asker_is_named_by_the_kernel() {
        let pid = i32::try_from(std::process::id()).ok();
        let Who::Operator(mut o) = operator(&Peer { uid: 0, pid }) else { panic!() };
        assert_eq!((o.uid, o.pid), (0, pid));
        complete(&mut o);
        assert_eq!(o.user.as_deref(), Some("root"));
        let Who::Operator(gone) = operator(&Peer { uid: 4_000_000_000, pid: Some(i32::MAX) }) else {
            panic!()
        };
        assert_eq!((gone.login_uid, gone.user), (None, None));
    }
}
