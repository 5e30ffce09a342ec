//! An S3-speaking server of the tests' own: moto, from PyPI.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, thread};

use gcs_server::publishing::{Bucket, Files};

use super::api::{Answer, agent, ask};
use super::s3_proxy::Proxy;

/// Where a server of moto listens; `None`, said aloud, where it is not installed. It ends with this program.
type Moto = OnceLock<Option<SocketAddr>>;

/// Another server, which speaks TLS with these files; `None`, said aloud, where it is not installed.
pub fn with_tls(cert: &Path, key: &Path) -> Option<SocketAddr> {
    let [cert, key] = [cert, key].map(|file| file.to_str().unwrap());
    program().map(|program| start(&program, &["--ssl", "-c", cert, "-k", key]))
}

/// The program, as `.ci/python` installs it, or in the path.
fn program() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/moto/bin");
    let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let mut folders = std::iter::once(ours).chain(in_path.unwrap_or_default());
    let program = folders.find_map(|folder| {
        let program = folder.join("moto_server");
        program.exists().then_some(program)
    });
    if program.is_none() {
        assert!(env::var_os("TEST_S3").is_none(), "TEST_S3 is set, and there is no moto_server");
        // Not captured, as what the macros print of a test that passes.
        let _heard = writeln!(
            std::io::stderr(),
            "NOT TESTED: files in S3-compatible storage. To test it: .ci/python 'moto[server]==5.2.5'"
        );
    }
    program
}

fn start(program: &Path, flags: &[&str]) -> SocketAddr {
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL", "--"]).arg(program).args(["-H", "127.0.0.1", "-p", "0"]);
    server.args(flags);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (ready, is_ready) = std::sync::mpsc::channel();
    // A thread that does not end before the server does.
    thread::spawn(move || {
        let mut child = server.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.split_once("Running on ")?;
            let (_, address) = address.split_once("://")?;
            address.trim().trim_end_matches('/').parse().ok()
        });
        ready.send(address).unwrap();
        // Whatever else it says must be read, or it stands still.
        lines.for_each(drop);
        child.wait()
    });
    is_ready.recv().unwrap().expect("moto's server starts")
}

/// A bucket of a test's own.
#[derive(Clone, Debug)]
pub struct TestBucket {
    pub server: SocketAddr,
    pub name: String,
    pub prefix: &'static str,
}

impl TestBucket {
    /// A new bucket; `None`, said aloud, where there is no storage to test with.
    pub fn new(prefix: &'static str) -> Option<TestBucket> {
        static SHARED: Moto = OnceLock::new();
        TestBucket::on(&SHARED, prefix)
    }

    /// A new bucket for a server in a process of its own, which does not start where storage is busy for seconds: what
    /// other tests ask for is asked for elsewhere.
    pub fn for_process(prefix: &'static str) -> Option<TestBucket> {
        static OF_PROCESSES: Moto = OnceLock::new();
        TestBucket::on(&OF_PROCESSES, prefix)
    }

    fn on(moto: &Moto, prefix: &'static str) -> Option<TestBucket> {
        static BUCKETS: AtomicU32 = AtomicU32::new(1);
        let server = (*moto.get_or_init(|| program().map(|program| start(&program, &[]))))?;
        let name = format!("test-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        assert_eq!(ask(server, "PUT", &format!("/{name}"), &[], "").status, 200);
        Some(TestBucket { server, name, prefix })
    }

    /// Its URL.
    pub fn url(&self) -> Bucket {
        format!("s3://{}/{}", self.name, self.prefix).parse().unwrap()
    }

    /// The files in it, as a server has them that reaches the storage here.
    pub fn files(&self, at: SocketAddr) -> Files {
        Files::in_bucket(&self.url(), variables(at)).unwrap()
    }

    /// The files, and what stands between them and the storage.
    pub fn behind_proxy(&self) -> (Files, Proxy) {
        let proxy = Proxy::to(self.server);
        (self.files(proxy.address), proxy)
    }

    fn path(&self, key: &str) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("/{}/{}{slash}{key}", self.name, self.prefix)
    }

    /// An object as anybody gets it.
    pub fn get(&self, key: &str) -> Answer {
        ask(self.server, "GET", &self.path(key), &[owner()], "")
    }

    pub fn put(&self, key: &str, bytes: &[u8]) {
        let url = format!("http://{}{}", self.server, self.path(key));
        let (name, value) = owner();
        assert!(agent().put(url).header(name, value).send(bytes).unwrap().status().is_success());
    }

    pub fn delete(&self, key: &str) {
        assert_eq!(ask(self.server, "DELETE", &self.path(key), &[owner()], "").status, 204);
    }

    /// Every object below the prefix, by its name from there.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let listed = ask(self.server, "GET", &format!("/{}?list-type=2", self.name), &[], "");
        let listed = String::from_utf8(listed.body).unwrap();
        assert!(listed.contains("<IsTruncated>false"), "{listed}");
        let start =
            if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        keys.map(|key| {
            let name = key.strip_prefix(&start).unwrap_or_else(|| panic!("{key}"));
            let object = self.get(name);
            assert_eq!(object.status, 200, "{key}");
            (name.to_owned(), object.body)
        })
        .collect()
    }
}

/// Whoever signs anything at all is the owner of everything.
fn owner() -> (&'static str, String) {
    let scope = "test/20260101/us-east-1/s3/aws4_request";
    let what = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    ("authorization", what)
}

/// What a server's environment says of storage that it reaches here.
pub fn variables(at: SocketAddr) -> Vec<(String, String)> {
    let variables = [
        ("AWS_ENDPOINT_URL", format!("http://{at}")),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        // A test may hold a request for long.
        ("AWS_TIMEOUT", "300s".to_owned()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}
