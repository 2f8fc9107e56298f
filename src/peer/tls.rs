//! TLS 1.3 between two nodes: both show a certificate, and what counts is whether it is pinned.
//!
//! There is no authority that signs anything, so nothing but the fingerprint is looked at: no names, no dates. That the
//! other side has the key of its certificate is proven by the handshake as always. Nothing is resumed and there is no
//! early data: every connection shows its certificates anew, so a forgotten one is out at once.

use super::{Fingerprint, Identity, Pins};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, ServerConfig, SignatureScheme, version,
};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// A certificate of a node is about 300 bytes long.
const LONGEST: usize = 2048;
/// What nodes sign with; whatever else a stranger would like to have checked is not.
const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ED25519];

/// Decides whether a client with a certificate that is not pinned may connect; asked at each handshake.
pub type Admission = Arc<dyn Fn() -> bool + Send + Sync>;

/// Which certificate of the other side a client accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// This one.
    Pinned(Fingerprint),
    /// Any: for a registration, which then finds out whose it is.
    Anyone,
}

/// A certificate that is not the pinned one; inside the error of rustls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the certificate {shown} is not pinned")]
pub struct NotPinned {
    /// What was shown.
    pub shown: Fingerprint,
}

/// The cryptography: ring.
pub(super) fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// For the server: clients with a pinned certificate, and others while `admit` says so.
///
/// # Errors
/// If rustls cannot do TLS 1.3 with its cryptography, which would be a mistake in the build.
pub fn server(identity: &Identity, pins: Pins, admit: Admission) -> Result<ServerConfig, Error> {
    server_for(identity, Accept::Pins(pins, admit))
}

/// For a server that only these clients reach.
///
/// # Errors
/// As [`server`].
pub fn server_of(identity: &Identity, known: BTreeSet<Fingerprint>) -> Result<ServerConfig, Error> {
    server_for(identity, Accept::Listed(known))
}

fn server_for(identity: &Identity, accept: Accept) -> Result<ServerConfig, Error> {
    let verifier = Verifier { accept, provider: Arc::new(provider()) };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// For the client.
///
/// # Errors
/// As [`server`].
pub fn client(identity: &Identity, expect: Expect) -> Result<ClientConfig, Error> {
    let verifier = Verifier { accept: Accept::One(expect), provider: Arc::new(provider()) };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The fingerprint of what the other side showed; nothing before the handshake is done.
pub(crate) fn shown(certificates: Option<&[CertificateDer<'_>]>) -> Option<Fingerprint> {
    certificates.and_then(<[_]>::first).map(|der| Fingerprint::of(der))
}

/// The refusal of a certificate in an error of the handshake on this side.
pub(crate) fn not_pinned(error: &io::Error) -> Option<NotPinned> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.0.downcast_ref::<NotPinned>().copied()
        }
        _ => None,
    }
}

enum Accept {
    Listed(BTreeSet<Fingerprint>),
    Pins(Pins, Admission),
    One(Expect),
}

struct Verifier {
    accept: Accept,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    fn judge(&self, certificate: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !more.is_empty() || certificate.len() > LONGEST {
            return Err(CertificateError::BadEncoding.into());
        }
        let shown = Fingerprint::of(certificate);
        let accepted = match &self.accept {
            Accept::Listed(known) => known.contains(&shown),
            Accept::Pins(pins, admit) => pins.knows(&shown) || admit(),
            Accept::One(Expect::Pinned(pinned)) => shown == *pinned,
            Accept::One(Expect::Anyone) => true,
        };
        if accepted {
            Ok(())
        } else {
            Err(CertificateError::Other(OtherError(Arc::new(NotPinned { shown }))).into())
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !SCHEMES.contains(&signed.scheme) {
            return Err(CertificateError::BadSignature.into());
        }
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
}

/// It is not built in; this is what the traits want said about it.
fn tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
}

/// What both traits want to know of signatures, in the same words.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            tls12()
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.signature(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            SCHEMES.to_vec()
        }
    };
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(certificate, more).map(|()| ClientCertVerified::assertion())
    }

    signatures!();
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(certificate, more).map(|()| ServerCertVerified::assertion())
    }

    signatures!();
}
