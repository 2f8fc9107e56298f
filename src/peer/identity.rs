//! Who this node is: its key and its certificate.

use super::{Fingerprint, directory, file, tls};
use crate::config::key_file;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Name of the file: the certificate and the key, so that there are always both or none.
const FILE: &str = "identity.pem";
/// More is no identity.
const LONGEST: u64 = 16 << 10;

/// The key and the self-signed certificate of this node. The certificate names nobody and does not run out: what counts is its
/// fingerprint, which is pinned on the other side. `Debug` shows that and nothing else.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

/// Why a node has no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file cannot be made.
    #[error("cannot write the key of this node, {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// The file cannot be read, or others can read it.
    #[error("the key of this node: {message}{}", .help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Read {
        /// What is wrong.
        message: String,
        /// What helps.
        help: Option<String>,
    },
    /// The file is not what was written there.
    #[error(
        "{} is damaged: {why}. Put it back from a backup, or remove it: a new one is made at the next start, and the \
         pairs of this node have to be registered again", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// In which way.
        why: String,
    },
    /// No key could be made.
    #[error("cannot make a key: {0}")]
    Make(String),
}

impl Identity {
    /// The identity below the state directory, made if there is none yet: STATE_DIR/peer/identity.pem, mode 0600, on the disk
    /// before this returns. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with the file, or the disk. A damaged one is never replaced: the peers would refuse the new one.
    pub fn load_or_make(state_dir: &Path) -> Result<Self, IdentityError> {
        let dir = directory(state_dir);
        let path = dir.join(FILE);
        let write = |source| IdentityError::Write { path: path.clone(), source };
        if !path.try_exists().map_err(write)? {
            file::private_dir(&dir).map_err(write)?;
            file::replace(&path, make()?.as_bytes()).map_err(write)?;
        }
        Self::load(&path)
    }

    fn load(path: &Path) -> Result<Self, IdentityError> {
        let content = key_file::guarded(path, LONGEST)
            .map_err(|f| IdentityError::Read { message: f.message, help: f.help })?;
        let damaged = |why: String| IdentityError::Damaged { path: path.to_owned(), why };
        let certificate = CertificateDer::from_pem_slice(&content)
            .map_err(|e| damaged(format!("no certificate in it ({e})")))?;
        let key =
            PrivatePkcs8KeyDer::from_pem_slice(&content).map_err(|_| damaged("no key in it".to_owned()))?;
        let fingerprint = Fingerprint::of(&certificate);
        let certified =
            CertifiedKey::from_der(vec![certificate], PrivateKeyDer::Pkcs8(key), &tls::provider())
                .map_err(|e| damaged(e.to_string()))?;
        Ok(Identity { certified: Arc::new(certified), fingerprint })
    }

    /// The fingerprint of the certificate.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

/// A new certificate and its key, as PEM.
fn make() -> Result<String, IdentityError> {
    let failed = |e: rcgen::Error| IdentityError::Make(e.to_string());
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
    let mut params = CertificateParams::default();
    // Whoever connects sees the certificate: it names neither the node nor the program.
    params.distinguished_name = DistinguishedName::new();
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_private_and_the_same_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::load_or_make(dir.path()).unwrap();
        let path = dir.path().join("peer/identity.pem");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Identity::load_or_make(dir.path()).unwrap().fingerprint(), first.fingerprint());
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Identity::load_or_make(other.path()).unwrap().fingerprint(), first.fingerprint());
        assert_eq!(format!("{first:?}"), format!("Identity({})", first.fingerprint()));
    }

    #[test]
    fn the_certificate_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_make(dir.path()).unwrap();
        let der = identity.certified.cert[0].to_vec();
        let text = String::from_utf8_lossy(&der).to_lowercase();
        assert!(!text.contains("tandem") && !text.contains("rcgen"), "{text}");
    }

    #[test]
    fn a_damaged_one_is_refused_and_stays() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Identity::load_or_make(dir.path()).unwrap();
        Identity::load_or_make(other.path()).unwrap();
        let path = dir.path().join("peer/identity.pem");
        let good = fs::read_to_string(&path).unwrap();
        let foreign = fs::read_to_string(other.path().join("peer/identity.pem")).unwrap();
        let at = good.find("-----BEGIN PRIVATE").unwrap();
        let mixed = format!("{}{}", &good[..at], &foreign[foreign.find("-----BEGIN PRIVATE").unwrap()..]);
        let cases =
            [String::new(), good[..at].to_owned(), good[at..].to_owned(), good[..at + 60].to_owned(), mixed];
        for content in cases {
            fs::write(&path, &content).unwrap();
            let why = Identity::load_or_make(dir.path()).unwrap_err().to_string();
            assert!(why.contains("identity.pem is damaged") && !why.contains("BEGIN"), "{why}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::write(&path, &good).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let why = Identity::load_or_make(dir.path()).unwrap_err().to_string();
        assert!(why.contains("chmod 600"), "{why}");
    }

    #[test]
    fn a_disk_that_refuses_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("peer"), "a file").unwrap();
        let why = Identity::load_or_make(dir.path()).unwrap_err().to_string();
        assert!(why.contains("peer/identity.pem") && why.contains("os error"), "{why}");
    }
}
