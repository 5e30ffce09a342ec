//! A link to a server that can be cut, stalled, slowed and reset: a TCP port of this machine, and threads that
//! carry what comes to a socket file and back.
//!
//! | fault | what a client of the port sees |
//! |---|---|
//! | cut | its connections end with a reset, and so does each new one |
//! | stalled both ways | nothing comes, nothing is refused, as behind a router that lost its way |
//! | stalled one way | requests arrive and answers do not, or the other way round |
//! | slow | each piece comes later |
//! | reset | its connections end, new ones work |

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// How often a thread that waits looks at the state of its link.
const LOOK: Duration = Duration::from_millis(10);

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Whole,
    /// Each piece comes so much later.
    Slow(Duration),
    /// Nothing comes in these directions, and nobody is told.
    Stalled {
        there: bool,
        back: bool,
    },
    Cut,
}

impl Mode {
    fn stalls(self, way: Way) -> bool {
        match (self, way) {
            (Mode::Stalled { there, .. }, Way::There) => there,
            (Mode::Stalled { back, .. }, Way::Back) => back,
            _ => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    There,
    Back,
}

/// A link. It ends with this.
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mutex<Mode>,
    target: Mutex<PathBuf>,
    connections: Mutex<Vec<Weak<Connection>>>,
    is_over: AtomicBool,
}

/// A connection through a link, and its other half.
struct Connection {
    client: Socket,
    server: Socket,
    is_over: AtomicBool,
}

impl Wire {
    /// A whole link from an address of this machine to a socket file.
    pub fn new(address: Ipv4Addr, target: &Path) -> Wire {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Whole),
            target: Mutex::new(target.to_owned()),
            connections: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let of_listener = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &of_listener));
        Wire { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets new connections lead to another socket file.
    pub fn aim(&self, target: &Path) {
        target.clone_into(&mut lock(&self.shared.target));
    }

    pub fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
        if mode == Mode::Cut {
            self.reset();
        }
    }

    /// Ends all connections with a reset.
    pub fn reset(&self) {
        for connection in lock(&self.shared.connections).drain(..).filter_map(|one| one.upgrade()) {
            let _gone = connection.client.set_linger(Some(Duration::ZERO));
            connection.is_over.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.reset();
        // The listener looks whether it is over when somebody connects.
        let _gone = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for accepted in listener.incoming() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(accepted) = accepted else { continue };
        let client = Socket::from(accepted);
        if shared.mode() == Mode::Cut || connect(client, shared).is_err() {
            // The client was dropped with what it had not read: a reset.
        }
    }
}

/// Connects a client with the target, and begins to carry.
fn connect(client: Socket, shared: &Arc<Shared>) -> io::Result<()> {
    client.set_linger(Some(Duration::ZERO))?;
    let server = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    server.connect(&SockAddr::unix(&*lock(&shared.target))?)?;
    client.set_linger(None)?;
    client.set_tcp_nodelay(true)?;
    for end in [&client, &server] {
        end.set_read_timeout(Some(LOOK))?;
        end.set_write_timeout(Some(LOOK))?;
    }
    let connection = Arc::new(Connection { client, server, is_over: AtomicBool::new(false) });
    let mut connections = lock(&shared.connections);
    connections.retain(|connection| connection.strong_count() > 0);
    connections.push(Arc::downgrade(&connection));
    for way in [Way::There, Way::Back] {
        let (connection, shared) = (Arc::clone(&connection), Arc::clone(shared));
        std::thread::spawn(move || {
            let _gone = carry(&connection, way, &shared);
            connection.is_over.store(true, Ordering::SeqCst);
        });
    }
    Ok(())
}

/// Carries what comes, until one end closes or the connection is reset.
fn carry(connection: &Connection, way: Way, shared: &Shared) -> io::Result<()> {
    let (from, to) = match way {
        Way::There => (&connection.client, &connection.server),
        Way::Back => (&connection.server, &connection.client),
    };
    let (mut from, mut to) = (from, to);
    let mut piece = [0; 16 << 10];
    while !connection.is_over.load(Ordering::SeqCst) {
        let length = match from.read(&mut piece) {
            Ok(0) => return to.shutdown(Shutdown::Write),
            Ok(length) => length,
            Err(error) if is_wait(&error) => continue,
            Err(error) => return Err(error),
        };
        if let Mode::Slow(pause) = shared.mode() {
            std::thread::sleep(pause);
        }
        while shared.mode().stalls(way) {
            if connection.is_over.load(Ordering::SeqCst) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        let mut rest = &piece[..length];
        while !rest.is_empty() && !connection.is_over.load(Ordering::SeqCst) {
            match to.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

impl Shared {
    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
