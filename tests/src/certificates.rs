//! Certificates for servers of the tests: names flow in, an authority of its own and what it signed
//! flow out, as PEM files of one folder.

use std::path::Path;
use std::process::Command;

/// Who is vouched for.
pub enum Bearer {
    /// `server.pem`, `server.key`.
    Server,
    /// `client.pem`, `client.key`.
    Client,
}

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// Makes `ca.pem`, which signs what [`sign`] makes beside it.
pub fn authority(folder: &Path) {
    openssl(
        folder,
        &[
            &["req", "-x509", "-days", "2", "-subj", "/CN=test authority"],
            &KEY,
            &["-addext", "basicConstraints=critical,CA:TRUE"],
            &["-addext", "keyUsage=critical,keyCertSign"],
            &["-keyout", "ca.key", "-out", "ca.pem"],
        ],
    );
}

/// Signs a new key. `names`: as openssl writes subject alternative names, `IP:127.0.0.1,DNS:dc1`.
pub fn sign(folder: &Path, bearer: &Bearer, names: &str) {
    let name = match bearer {
        Bearer::Server => "server",
        Bearer::Client => "client",
    };
    let usage = match bearer {
        Bearer::Server => "serverAuth",
        Bearer::Client => "clientAuth",
    };
    let extensions = format!(
        "subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\n"
    );
    let [key, request, certificate, extension] =
        ["key", "csr", "pem", "ext"].map(|kind| format!("{name}.{kind}"));
    std::fs::write(folder.join(&extension), extensions).expect("a new file");
    openssl(
        folder,
        &[&["req", "-subj", "/CN=localhost"], &KEY, &["-keyout", &key, "-out", &request]],
    );
    openssl(
        folder,
        &[
            &["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key"],
            &["-CAcreateserial", "-days", "2", "-extfile", &extension, "-out", &certificate],
        ],
    );
}

fn openssl(folder: &Path, arguments: &[&[&str]]) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.concat()).current_dir(folder).output();
    let output = output.expect("openssl is not installed: run cargo verify");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
}
