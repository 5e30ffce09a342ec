//! TLS on the listeners: the real program, with certificates of an authority of our own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::common::process::{Process, alone, complaint, place_set, text};
use crate::common::wait::until;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// An authority, and where the files are.
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    client: Arc<ClientConfig>,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let own = authority.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A client that comes again is not shown the certificate again.
        client.resumption = rustls::client::Resumption::disabled();
        let issuer = rcgen::Issuer::new(authority, key);
        Authority { folder, issuer, client: Arc::new(client) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a new certificate for localhost, and its key.
    pub fn issue(&self) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let new =
            rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path("cert.pem"), new.pem()).unwrap();
        fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        new.der().clone()
    }

    pub fn connect(&self, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        StreamOwned::new(session, tcp(address))
    }

    /// The certificate that a new connection is shown.
    fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        let mut stream = self.connect(address);
        assert!(head(&mut stream, "/").starts_with("HTTP/1.1 404"));
        stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// The flags that name the files.
    fn flags(&self) -> Vec<String> {
        let file = |name| self.path(name).to_str().unwrap().to_owned();
        let [cert, key] = [file("cert.pem"), file("key.pem")];
        let public = ["--tls-cert".into(), cert.clone(), "--tls-key".into(), key.clone()];
        let private = ["--private-tls-cert".into(), cert, "--private-tls-key".into(), key];
        [public, private].concat()
    }

    fn start(&self) -> Process {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Process::start(&self.path("data"), &flags)
    }
}

/// A connection whose server has to do something within minutes.
fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// The head of an answer, whose body is not wanted.
fn head(stream: &mut (impl std::io::Read + std::io::Write), path: &str) -> String {
    write!(stream, "HEAD {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    text(&head)
}

/// Waits until the server's log has a text.
fn until_logged(server: &Process, what: &str) {
    until(what, || server.logged().contains(what));
}

#[test]
fn both_listeners_speak_tls() {
    let authority = Authority::new();
    let certificate = authority.issue();
    let first = authority.start();
    let operator = first.operator.clone();
    drop(first);
    // A file that is larger than all buffers.
    let noise = (0..5_000_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8);
    let (path, set) = place_set(&authority.path("data"), noise.collect());

    let server = authority.start();
    assert_eq!(authority.shown(server.public), certificate);
    let mut stream = authority.connect(server.public);
    for _ in 0..3 {
        assert!(head(&mut stream, &path).contains("content-length: 5000032"));
    }
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&set));

    let url = format!("https://localhost:{}", server.private.port());
    let ca = authority.path("ca.pem");
    let status = ["status", "--url", &url, "--ca", ca.to_str().unwrap()];
    let output = server.command(&operator, &status).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));

    // Whoever else wants its folder or its address is told whose they are.
    let addresses =
        format!("public: https://{}, private: https://{}", server.public, server.private);
    let said = complaint(&alone(&authority.path("data"), &["recover"]));
    assert!(said.contains(&addresses), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    let address = server.public.to_string();
    let same = ["--public-listen", &address, "--private-listen", "127.0.0.1:0"];
    let said = complaint(&alone(elsewhere.path(), &same));
    assert!(said.contains("A gcs-server of another data folder listens there"), "{said}");
    server.stop();
}

#[test]
fn whoever_does_not_speak_tls_is_let_go_and_others_are_served() {
    let authority = Authority::new();
    authority.issue();
    let server = authority.start();
    // Silence from the beginning, and after a part of a handshake.
    let mut silent = tcp(server.public);
    let mut half = tcp(server.public);
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).unwrap();
    // Another protocol: the server says so in its own, and ends.
    for other in ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "SSH-2.0-x\r\n", "\0\0\0\0\0\0\0\0"] {
        let mut stream = tcp(server.public);
        stream.write_all(other.as_bytes()).unwrap();
        let mut alert = Vec::new();
        // What it has not read may end the connection hard.
        let _ended = stream.read_to_end(&mut alert);
        assert!(alert.len() < 10 && !alert.starts_with(b"HTTP"), "{alert:?}");
    }
    assert!(head(&mut authority.connect(server.public), "/v1/openapi.json").contains("200"));
    // A connection without a request would be kept for 75 seconds.
    for stream in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
    server.stop();
}

#[test]
fn a_hangup_reads_certificates_again_and_a_wrong_one_changes_nothing() {
    let authority = Authority::new();
    let first = authority.issue();
    let server = authority.start();
    let mut open = authority.connect(server.public);
    assert!(head(&mut open, "/v1/openapi.json").contains("200"));
    assert_eq!(authority.shown(server.public), first);

    let second = authority.issue();
    assert_eq!(authority.shown(server.public), first);
    server.signal("-HUP");
    until_logged(&server, "certificates read again");
    until("the second certificate is shown", || {
        authority.shown(server.public) == second && authority.shown(server.private) == second
    });
    // Who was connected stays.
    assert!(head(&mut open, "/v1/openapi.json").contains("200"));

    fs::write(authority.path("cert.pem"), "no certificate").unwrap();
    server.signal("-HUP");
    until_logged(&server, "certificate not read again");
    assert!(server.logged().contains("there is no certificate in PEM form"), "{}", server.logged());
    assert_eq!(authority.shown(server.public), second);
    server.stop();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    authority.issue();
    let refused = |flags: &[String]| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let output = alone(&authority.path("data"), &flags);
        assert!(!output.status.success());
        assert!(!authority.path("data").join("keys.json").exists(), "something was made");
        text(&output.stderr)
    };
    let swap = |name: &str, content: &str| {
        let before = fs::read(authority.path(name)).unwrap();
        fs::write(authority.path(name), content).unwrap();
        let said = refused(&authority.flags());
        fs::write(authority.path(name), before).unwrap();
        said
    };
    let (certificate, key) = (read(&authority.path("cert.pem")), read(&authority.path("key.pem")));
    let said = swap("cert.pem", &key);
    assert!(said.contains("cert.pem: there is no certificate in PEM form"), "{said}");
    let said = swap("key.pem", &certificate);
    assert!(said.contains("key.pem: there is no private key in PEM form"), "{said}");
    let said = swap("key.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    assert!(said.contains("not that of the first certificate"), "{said}");
    let cut = &certificate[..certificate.len() / 2];
    let said = swap("cert.pem", cut);
    assert!(said.contains("cert.pem: "), "{said}");
    fs::remove_file(authority.path("key.pem")).unwrap();
    let said = refused(&authority.flags());
    assert!(said.contains("key.pem: No such file"), "{said}");
    let said = refused(&authority.flags()[..2]);
    assert!(said.contains("tls_cert is set, but not tls_key"), "{said}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
