//! What went wrong between tandemd and the kernel.

use nix::errno::Errno;

/// A system call or netlink request that failed: what was tried, on what, and the kernel's answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot {operation} {object}: {} ({errno:?}){}", .errno.desc(), detail_suffix(.detail))]
pub struct NetError {
    /// What was tried, as a verb phrase: "add address".
    pub operation: &'static str,
    /// On what: an address, an interface, a socket.
    pub object: String,
    /// The error number.
    pub errno: Errno,
    /// What the kernel said in words (netlink extended acknowledgement), if it did.
    pub detail: Option<String>,
}

fn detail_suffix(detail: &Option<String>) -> String {
    detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default()
}

impl NetError {
    /// An error without words from the kernel.
    pub fn new(operation: &'static str, object: impl Into<String>, errno: Errno) -> Self {
        NetError { operation, object: object.into(), errno, detail: None }
    }

    /// The same for an error that the standard library or socket2 reports; one without a number becomes EIO.
    pub fn from_io(operation: &'static str, object: impl Into<String>, error: &std::io::Error) -> Self {
        Self::new(operation, object, Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_operation_object_errno_and_the_kernels_words() {
        let mut e = NetError::new("add address", "192.0.2.1/24 on interface 3", Errno::EINVAL);
        assert_eq!(
            e.to_string(),
            "cannot add address 192.0.2.1/24 on interface 3: Invalid argument (EINVAL)"
        );
        e.detail = Some("ipv4: Invalid prefix length".into());
        assert!(e.to_string().ends_with("(EINVAL): ipv4: Invalid prefix length"));
    }
}
