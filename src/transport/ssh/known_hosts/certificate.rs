//! Validates a host certificate. russh checks that the server has the private key for it; everything else is checked
//! here. See PROTOCOL.certkeys of OpenSSH.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg};

use super::entry::glob;

/// Checks type, signature, validity at `now` (seconds since 1970), principals and critical options. The caller checks
/// that the signing key is an authority for this host.
///
/// # Errors
/// A fragment that says why the certificate is not valid.
pub fn check(certificate: &Certificate, principal: &str, now: u64) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("its certificate is not a host certificate".to_owned());
    }
    if matches!(certificate.signature_key(), KeyData::Certificate(_)) {
        return Err("its certificate is signed by a certificate, not by a key".to_owned());
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err("its certificate is signed with SHA-1".to_owned());
    }
    if now < certificate.valid_after() {
        return Err("its certificate is not valid yet".to_owned());
    }
    if now >= certificate.valid_before() {
        return Err("its certificate has expired".to_owned());
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if certificate.validate_at(now, [&authority]).is_err() {
        return Err("the signature of its certificate is not valid".to_owned());
    }
    // In recent OpenSSH an empty list matches no host; it used to match every host.
    let named = certificate.valid_principals().iter().any(|p| glob(&p.to_ascii_lowercase(), principal));
    if !named {
        return Err(format!("its certificate is not valid for {principal}"));
    }
    match certificate.critical_options().keys().next() {
        Some(option) => Err(format!("its certificate has the unknown critical option {option:?}")),
        None => Ok(()),
    }
}
