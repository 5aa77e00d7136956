//! TLS of directory connections: which certificates are trusted flows in, a connector flows out
//! (L-20).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsConnector;

use super::fault::{Failure, shown};
use crate::connector::digest::hex;

/// SHA-256 of a certificate's DER form.
pub type Pin = [u8; 32];

/// Which server certificates are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Accepts exactly one certificate and looks at nothing else, for servers whose certificate
    /// carries no usable name.
    pub pin_sha256: Option<Pin>,
}

/// Errors: a CA file that cannot be read or holds no certificate; a system without any.
pub fn connector(options: &TlsOptions) -> Result<TlsConnector, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Tls(error.to_string()))?;
    let config = match options.pin_sha256 {
        Some(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider }))
            .with_no_client_auth(),
        None => builder.with_root_certificates(roots(options)?).with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(options: &TlsOptions) -> Result<RootCertStore, Failure> {
    let certificates = match &options.ca {
        Some(path) => read_pem(path)?,
        // Some stores hold files that cannot be read; what can be read is what is trusted.
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(Failure::Config {
            message: "there is no certificate authority to trust".to_owned(),
            hint: "name the authority of the server's certificate in `tls.ca`".to_owned(),
        });
    }
    Ok(roots)
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| {
        Failure::Config {
            message: format!("cannot read `{}`: {error}", path.display()),
            hint: "`tls.ca` is a file of PEM certificates".to_owned(),
        }
    })
}

/// A handshake that failed: because we do not trust the certificate, or for any passing reason.
pub fn failure(error: &std::io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            Failure::Tls(format!("the certificate is not trusted: {}", shown(&reason.to_string())))
        }
        Some(other) => Failure::Tls(format!("the TLS handshake failed: {other}")),
        None => Failure::Unavailable(format!("the TLS handshake was cut: {error}")),
    }
}

/// The digest by which a certificate can be pinned, as 64 hexadecimal digits.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate))
}

/// Accepts one certificate by its digest. Signatures of the handshake are checked all the same:
/// they prove that the peer holds its key.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Sha256::digest(end_entity)[..] == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
