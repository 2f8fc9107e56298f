//! A key in a file: one line of ASCII, or `hex:` and digits. Only the file's owner may read it.
//! How such a file is opened and judged is also used by `peer`, for its key, its certificate and its pins.

use crate::vrrp::{LONGEST_KEY, SHORTEST_KEY};
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The longest file that can hold a key: `hex:`, two digits a byte, a line end.
const LONGEST_FILE: u64 = 4 + 2 * LONGEST_KEY as u64 + 2;
/// Everything that the group and others may do.
const OTHERS: u32 = 0o077;

/// Why a file gives no key; never with anything that it holds.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault { message, help: None }
    }
}

/// The key in a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let content = guarded(path, LONGEST_FILE)?;
    let key = parse(&content).map_err(|why| format!("{shown} {why}"))?;
    if !(SHORTEST_KEY..=LONGEST_KEY).contains(&key.len()) {
        return Err(format!("{shown} holds a key of {} bytes", key.len()).into());
    }
    Ok(key)
}

/// What is in a file of at most `longest` bytes that nobody but its owner can read or change.
pub(crate) fn guarded(path: &Path, longest: u64) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let failed = |e: io::Error| Fault::from(format!("{shown} cannot be read: {e}"));
    // Not waiting: a FIFO without a writer would hold the daemon up for ever.
    let options = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file = options.map_err(failed)?;
    check_owner(path, &file)?;
    let mut content = Vec::new();
    file.take(longest + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > longest {
        return Err(format!("{shown} is longer than {longest} bytes").into());
    }
    Ok(content)
}

/// The file that was opened is judged, not what stands under its name a moment later.
fn check_owner(path: &Path, file: &File) -> Result<(), Fault> {
    let shown = path.display();
    let meta = file.metadata().map_err(|e| format!("{shown}: {e}"))?;
    if !meta.is_file() {
        return Err(format!("{shown} is not a regular file").into());
    }
    let own = nix::unistd::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != own {
        let message = format!("{shown} belongs to user {}, who could change the key", meta.uid());
        return Err(Fault { message, help: Some(format!("run: chown root {shown}")) });
    }
    if meta.mode() & OTHERS != 0 {
        let message = format!("{shown} has mode {:04o}: others can get at the key", meta.mode() & 0o7777);
        return Err(Fault { message, help: Some(format!("run: chmod 600 {shown}")) });
    }
    Ok(())
}

fn parse(content: &[u8]) -> Result<Vec<u8>, &'static str> {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.strip_prefix(b"hex:") {
        Some(digits) => hex(std::str::from_utf8(digits).unwrap_or("-")),
        None => ascii(line),
    }
}

/// A key as text: printable ASCII.
pub(super) fn ascii(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let legal = text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    if legal { Ok(text.to_vec()) } else { Err("holds something else than printable ASCII on one line") }
}

/// A key as hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Result<Vec<u8>, &'static str> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or("is not an even number of hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

    fn with(content: &[u8], mode: u32) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vrrp.key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        read(&path).map_err(|f| format!("{} {}", f.message, f.help.unwrap_or_default()))
    }

    #[test]
    fn text_and_digits_with_and_without_a_line_end() {
        for end in ["", "\n", "\r\n"] {
            assert_eq!(with(format!("{KEY}{end}").as_bytes(), 0o600).unwrap(), KEY.as_bytes());
            let digits = format!("hex:{}{end}", "0aF0".repeat(16));
            assert_eq!(with(digits.as_bytes(), 0o400).unwrap(), [0x0a, 0xf0].repeat(16));
        }
        assert_eq!(with(&[b'x'; 64], 0o600).unwrap().len(), 64);
        assert_eq!(with(format!("hex:{}\r\n", "ab".repeat(64)).as_bytes(), 0o600).unwrap().len(), 64);
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let long = [b'x'; 65];
        let bad: [&[u8]; 8] = [
            b"",
            b"hex:",
            b"short-and-secret",
            &long,
            &[b'x'; 4096],
            b"hex:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
            b"hex:zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            b"0123456789abcdefghijklmnopqrstuvwxyz\nsecond line",
        ];
        for content in bad {
            let why = with(content, 0o600).unwrap_err();
            assert!(why.contains("vrrp.key") && !why.contains("secret") && !why.contains("xxx"), "{why}");
        }
    }

    #[test]
    fn a_file_that_others_can_get_at_is_refused_with_its_mode() {
        for mode in [0o640, 0o604, 0o620, 0o666, 0o755] {
            let why = with(KEY.as_bytes(), mode).unwrap_err();
            assert!(why.contains(&format!("mode {mode:04o}")) && why.contains("chmod 600"), "{why}");
        }
    }

    #[test]
    fn what_is_no_file_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(read(&fifo).unwrap_err().message.contains("not a regular file"));
        assert!(read(dir.path()).is_err());
        assert!(read(&dir.path().join("none")).unwrap_err().message.contains("cannot be read"));
    }
}
