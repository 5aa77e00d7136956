//! Certificates made for these tests; what they hold was asked of another program.

use crate::testing::check;

/// Key on P-256, two critical extensions of three, a serial number with its highest bit set.
const RICH: &str = "\
    MIIBpjCCAUugAwIBAgIJAIEjRWeJq83vMAoGCCqGSM49BAMCMDAxFzAVBgoJkiaJk/IsZAEZFgdleGFtcGxlMRUwEw\
    YDVQQDDAxFeGFtcGxlIFJvb3QwIBcNMjQwMTAyMDMwNDA1WhgPMjA1MTAxMDIwMzA0MDVaME0xCzAJBgNVBAYTAkpQ\
    MQ4wDAYDVQQIDAVUb2t5bzEWMBQGA1UECgwNRXhhbXBsZSwgSW5jLjEWMBQGA1UEAwwN5bGx55SwIOWkqumDjjBZMB\
    MGByqGSM49AgEGCCqGSM49AwEHA0IABCbvzr0O6eNKZpGH4Ys6kSKy9zOUW2Scyfn5Ien52tgSkCOL3pzHuzMNFQxn\
    cE3SWucFUgV0S28xv0BwdFhy0OajLzAtMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMA0GA1UdDgQGBAQxMj\
    M0MAoGCCqGSM49BAMCA0kAMEYCIQCrScIt6HwqIiesihDAOGU+YkP+zeRHwSKOQkwNciCbfAIhAIHxtMxhjnNSeLtr\
    lulHZ8ZwspPD4eQK1QJOrYZCSP1Y";

/// A certificate that names itself and has no extensions.
const PLAIN: &str = "\
    MIIBCzCBsqADAgECAgIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARqZG9lMB4XDTk5MTIzMTIzNTk1OVoXDTI1MD\
    YzMDAwMDAwMFowDzENMAsGA1UEAwwEamRvZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCbvzr0O6eNKZpGH4Ys6\
    kSKy9zOUW2Scyfn5Ien52tgSkCOL3pzHuzMNFQxncE3SWucFUgV0S28xv0BwdFhy0OYwCgYIKoZIzj0EAwIDSAAwRQ\
    IhAOFT99tGCzq+AcYjZatr4vmsSO44dV/CWiJjm+hvcdj1AiBeZkQaLkc96284/jFrUhdSYu7BnEUvE85wd83DOVNc\
    dg==";

#[test]
fn fields_are_written_as_rules_expect_them() {
    for (function, expected) in [
        ("CertSubject", "'CN=山田 太郎, O=\"Example, Inc.\", S=Tokyo, C=JP'"),
        ("CertSubjectNameDN", "'CN=山田 太郎, O=\"Example, Inc.\", S=Tokyo, C=JP'"),
        ("CertIssuer", "'CN=Example Root, DC=example'"),
        ("CertIssuerDN", "'CN=Example Root, DC=example'"),
        ("CertNotBefore", "2024-01-02T03:04:05Z"),
        ("CertNotAfter", "2051-01-02T03:04:05Z"),
        ("CertThumbprint", "'85A0C0ADB2BED85BA20B0BD618DDF7C45472A7E5'"),
        ("CertHashString", "'85A0C0ADB2BED85BA20B0BD618DDF7C45472A7E5'"),
        ("CertSerialNumber", "'008123456789ABCDEF'"),
        ("CertVersion", "3"),
        ("CertFormat", "'X509'"),
        ("CertFriendlyName", "''"),
        ("CertKeyAlgorithm", "'1.2.840.10045.2.1'"),
        ("CertPublicKeyOid", "'1.2.840.10045.2.1'"),
        ("CertPublicKeyParametersOid", "'1.2.840.10045.2.1'"),
        ("CertKeyAlgorithmParams", "'06082A8648CE3D030107'"),
        ("CertSignatureAlgorithmOid", "'1.2.840.10045.4.3.2'"),
        ("CertExtensionOids", "'2.5.29.19' | '2.5.29.15'"),
        ("IsCert", "True"),
    ] {
        check(&format!("{function}([c])"), &format!("c='{RICH}'"), expected);
    }
}

#[test]
fn years_before_2000_and_certificates_without_extensions() {
    let attributes = format!("c='{PLAIN}'");
    check("CertNotBefore([c])", &attributes, "1999-12-31T23:59:59Z");
    check("CertSubject([c]) = CertIssuer([c])", &attributes, "True");
    check("CertSerialNumber([c])", &attributes, "'0102'");
    check("CertExtensionOids([c])", &attributes, "NULL");
}

#[test]
fn der_base64_and_pem_are_the_same_certificate() {
    let hex: String = {
        let bytes = super::bytes_of_base64(PLAIN).unwrap();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let text: String = PLAIN.bytes().map(|byte| format!("{byte:02x}")).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{PLAIN}\n-----END CERTIFICATE-----\n");
    for value in [format!("0x{hex}"), format!("0x{text}"), format!("'{pem}'")] {
        let expected = "'EFB29083BA2470BC91D43F1B31A7E615340AE8A0'";
        check("CertThumbprint([c])", &format!("c={value}"), expected);
    }
}

#[test]
fn valid_certificates_are_picked_out_of_a_list() {
    let both = format!("c='{PLAIN}'|'{RICH}'");
    check("Count(Where($c,[c],CertNotAfter($c)>Now()))", &both, "1");
    check("CertSerialNumber([c])", &both, "'0102' | '008123456789ABCDEF'");
    check("CertExtensionOids([c])", &both, "'2.5.29.19' | '2.5.29.15'");
}

#[test]
fn what_is_no_certificate_is_refused_and_never_panics() {
    check("CertSubject([c])", "", "NULL");
    check("IsCert([c])", "", "False");
    check("IsCert([c])", "c='abc'|7|0x30", "False | False | False");
    check("CertSubject(\"abc\")", "", "error: `abc` is not an X.509 certificate at 1:1");
    let bytes = super::bytes_of_base64(RICH).unwrap();
    for end in 0..bytes.len() {
        assert!(super::read(&bytes[..end]).is_none(), "cut at {end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(super::read(&longer).is_none());
    // Each byte changed in turn: read or refused, and every field written or refused.
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let Some(certificate) = super::read(&changed) else { continue };
            let _ = (super::name(certificate.subject), super::name(certificate.issuer));
        }
    }
}
