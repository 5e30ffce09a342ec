//! What stands between a server and its storage, and does to requests what a test says.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// The beginning of a request, such as `PUT /bucket/v1/manifest`.
pub type Request<'r> = &'r str;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is answered by the storage.
    Pass,
    /// It is answered with an error of the storage.
    Error(u16),
    /// The connection ends.
    Cut,
    /// The storage does it, and the answer ends in the middle of its body, or before it.
    Half,
    /// Nothing is answered, ever.
    Silence,
    /// It is answered as if it had been done.
    Feign,
    /// The first byte of the answer's body is another one.
    Lie,
    /// The storage does not see this condition of it.
    Without(&'static str),
    /// It waits until this ends, and passes then.
    Hold(Arc<Mutex<mpsc::Receiver<()>>>),
}

/// A request that waits.
pub struct Held {
    has_come: Option<mpsc::Receiver<()>>,
    _release: mpsc::Sender<()>,
}

impl Held {
    /// Waits until the request has come.
    pub async fn has_come(&mut self) {
        let has_come = self.has_come.take().unwrap();
        tokio::task::spawn_blocking(move || has_come.recv()).await.unwrap().unwrap();
    }
}

/// Decides on a request, by its beginning and its number.
type Script = Box<dyn FnMut(Request<'_>, usize) -> Fate + Send>;

/// A proxy, which ends with this program.
pub struct Proxy {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    seen: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy that passes everything on.
    pub fn to(storage: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script: Script = Box::new(|_, _| Fate::Pass);
        let (script, seen) = (Arc::new(Mutex::new(script)), Arc::new(AtomicUsize::new(0)));
        let (of, count) = (Arc::clone(&script), Arc::clone(&seen));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (script, seen) = (Arc::clone(&of), Arc::clone(&count));
                thread::spawn(move || {
                    let _gone = serve(&client, storage, &script, &seen);
                    let _gone = client.shutdown(Shutdown::Both);
                });
            }
        });
        Proxy { address, script, seen }
    }

    /// From now on requests are counted from 1, and this decides on them.
    pub fn script(&self, script: impl FnMut(Request<'_>, usize) -> Fate + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
        self.seen.store(0, Ordering::SeqCst);
    }

    /// From now on this becomes of all requests.
    pub fn always(&self, fate: Fate) {
        self.script(move |_, _| fate.clone());
    }

    /// The n-th request that begins like this waits until what this returns is dropped.
    pub fn hold(&self, nth: usize, beginning: impl Into<String>) -> Held {
        let (beginning, mut number) = (beginning.into(), 0);
        let (release, released) = mpsc::channel();
        let (came, has_come) = mpsc::channel();
        let released = Arc::new(Mutex::new(released));
        self.script(move |request, _| {
            number += usize::from(request.starts_with(&beginning));
            if number != nth || !request.starts_with(&beginning) {
                return Fate::Pass;
            }
            came.send(()).unwrap();
            Fate::Hold(Arc::clone(&released))
        });
        Held { has_come: Some(has_come), _release: release }
    }

    /// How many requests have come since the script began.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// Serves one request: each connection has one.
fn serve(
    client: &TcpStream,
    storage: SocketAddr,
    script: &Mutex<Script>,
    seen: &AtomicUsize,
) -> io::Result<()> {
    let (mut head, body) = read(client)?;
    let beginning = head.lines().next().unwrap_or_default();
    let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
    let fate = (script.lock().unwrap())(beginning, number);
    let mut client = client;
    match &fate {
        Fate::Cut => return Ok(()),
        Fate::Silence => {
            // Until the client goes.
            let _gone = client.read(&mut [0]);
            return Ok(());
        }
        Fate::Error(status) => {
            return write!(
                client,
                "HTTP/1.1 {status} \r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
        }
        Fate::Feign => {
            let etag = "etag: \"00000000000000000000000000000000\"";
            return write!(
                client,
                "HTTP/1.1 200 \r\n{etag}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
        }
        Fate::Hold(released) => drop(released.lock().unwrap().recv()),
        Fate::Pass | Fate::Half | Fate::Lie | Fate::Without(_) => {}
    }
    if let Fate::Without(condition) = fate {
        let keeps = |line: &&str| !line.to_ascii_lowercase().starts_with(condition);
        head = head.split_inclusive('\n').filter(keeps).collect();
    }
    let mut answer = forward(storage, &head, &body)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    if matches!(fate, Fate::Lie)
        && let Some(first) = answer.get_mut(end)
    {
        *first ^= 1;
    }
    if matches!(fate, Fate::Half) {
        let half = if answer.len() > end { (end + answer.len()) / 2 } else { end / 2 };
        answer.truncate(half);
    }
    client.write_all(&answer)
}

/// The head and the body of a request.
fn read(client: &TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        let is_end = line == "\r\n";
        // The storage ends the connection after its answer.
        if !lower.starts_with("connection:") {
            head.push_str(if is_end { "connection: close\r\n\r\n" } else { &line });
        }
        if is_end {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn forward(storage: SocketAddr, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut storage = TcpStream::connect(storage)?;
    storage.write_all(head.as_bytes())?;
    storage.write_all(body)?;
    let mut answer = Vec::new();
    storage.read_to_end(&mut answer)?;
    Ok(answer)
}
