//! Ticks of a running server, and how long they delay others.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gcs_benches::{SEEDS, SplitMix64};
use gcs_core::report::Code;
use gcs_server::app::App;
use gcs_server::clock::Clock;
use gcs_server::domain::judge;
use gcs_server::service::Service;

use crate::make::{Kind, clock, config, report};
use crate::process::Figures;

/// Ticks that are measured.
const TICKS: usize = 5;

/// New elements before each tick: so many reports of so many elements.
const REPORTS: u32 = 100;
const ELEMENTS: u64 = 100;

/// Codes of each of the two ranges: one for the elements of the ticks, one for the reports beside.
const CODES: u32 = 10_000;

/// Makes ticks, each after new elements, while threads read the state, report and fetch.
pub(crate) fn ticks(folder: &Path) -> Result<Figures, Box<dyn Error>> {
    let (config, time) = (config(folder)?, clock(folder)?);
    let clock = Clock::Manual(Arc::clone(&time));
    actix_web::rt::System::new().block_on(async {
        // Other random bytes than those of the log, or tracking ids would be the same again.
        let app = App::build(&config, clock, gcs_server::random::Random::System).await?.whole()?;
        let (service, public, handles) = (app.service().clone(), app.public(), app.handles());
        let running = actix_web::rt::spawn(app.run());
        let figures = measure(&service, public, &time).await;
        std::fs::write(folder.join("clock"), time.load(Ordering::SeqCst).to_string())?;
        drop(service);
        for handle in &handles {
            handle.stop(true).await;
        }
        running.await??;
        figures
    })
}

async fn measure(
    service: &Service,
    public: SocketAddr,
    time: &AtomicU64,
) -> Result<Figures, Box<dyn Error>> {
    let mut ranges = [0; 2];
    for first in &mut ranges {
        let open = |state: &_, context| judge::open_range(state, context, 1, CODES, 365);
        *first = service.node.act(open).await?.first;
    }
    let mut seeds = SplitMix64::new(SEEDS.added);
    let mut figures = Figures::default();
    let quiet = Others::start(service, public, ranges[1]);
    tokio_sleep(Duration::from_secs(2)).await;
    quiet.stop("quiet", &mut figures)?;
    let (mut times, mut serial) = (Vec::new(), ranges[0]);
    let mut beside = ranges[1] + CODES / 4;
    for _ in 0..TICKS {
        for _ in 0..REPORTS {
            send(service, serial, ELEMENTS, &mut seeds).await?;
            serial += 1;
        }
        time.fetch_add(900, Ordering::SeqCst);
        let others = Others::start(service, public, beside);
        let began = Instant::now();
        service.tick().await?;
        times.push(began.elapsed().as_secs_f64());
        beside += others.stop("ticks", &mut figures)?;
    }
    times.sort_by(f64::total_cmp);
    figures.set("tick_median", times[TICKS / 2]);
    figures.set("tick_most", times[TICKS - 1]);
    let live: u64 = service.node.state().live.dates().map(|(_, live)| live.published_len()).sum();
    figures.set("elements", live as f64);
    figures.set_memory("ticks");
    Ok(figures)
}

async fn tokio_sleep(duration: Duration) {
    actix_web::rt::time::sleep(duration).await;
}

/// Sends a report to the node, as the request handler does.
async fn send(
    service: &Service,
    serial: u32,
    elements: u64,
    seeds: &mut SplitMix64,
) -> Result<(), Box<dyn Error>> {
    let keys = Arc::clone(&service.keys);
    let code = Code::issue(&keys.provider(1, 1), 1, serial).ok_or("no such code")?;
    let received = report(Kind::Raw, code, elements, service.clock.now(), seeds);
    let judge = move |state: &_, context| judge::report(state, &keys, context, &received);
    service.node.act_on_code(1, serial, judge).await?;
    Ok(())
}

/// Threads that do what others do meanwhile, each again after a millisecond.
struct Others {
    is_over: Arc<AtomicBool>,
    readers: JoinHandle<Delays>,
    senders: JoinHandle<Delays>,
    fetchers: JoinHandle<Delays>,
}

/// How long each of many calls took, in milliseconds.
type Delays = Vec<f64>;

impl Others {
    fn start(service: &Service, public: SocketAddr, first: u32) -> Others {
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = service.clone();
        let readers = again_and_again(&is_over, move || {
            move || {
                drop(reader.node.state());
                Ok(())
            }
        });
        let (sender, mut serial) = (service.clone(), first);
        let mut seeds = SplitMix64::new(SEEDS.queries ^ u64::from(first));
        let senders = again_and_again(&is_over, move || {
            let system = actix_web::rt::System::new();
            move || {
                let sent = system.block_on(send(&sender, serial, 1, &mut seeds));
                serial += 1;
                sent.map_err(|error| error.to_string())
            }
        });
        let fetchers = again_and_again(&is_over, move || {
            let mut fetcher = Fetcher::connect(public);
            move || {
                let fetcher = fetcher.as_mut().map_err(|error| error.to_string())?;
                fetcher.fetch().map_err(|error| error.to_string())
            }
        });
        Others { is_over, readers, senders, fetchers }
    }

    /// Stops them and notes their longest delays. Returns the number of reports.
    fn stop(self, name: &str, figures: &mut Figures) -> Result<u32, Box<dyn Error>> {
        self.is_over.store(true, Ordering::SeqCst);
        let mut reports = 0;
        for (kind, thread) in
            [("read", self.readers), ("report", self.senders), ("fetch", self.fetchers)]
        {
            let mut delays = thread.join().map_err(|_| format!("{kind}: a call failed"))?;
            delays.sort_by(f64::total_cmp);
            let most = format!("{name}_{kind}_most_ms");
            let worst = delays.last().copied().unwrap_or(f64::NAN);
            let before = figures.get(&most);
            figures.set(&most, if before > worst { before } else { worst });
            let median = delays.get(delays.len() / 2).copied().unwrap_or(f64::NAN);
            figures.set(&format!("{name}_{kind}_median_ms"), median);
            if kind == "report" {
                reports = delays.len() as u32;
            }
        }
        Ok(reports)
    }
}

/// Calls what `prepare` gives in a thread, until it is over.
fn again_and_again<F: FnMut() -> Result<(), String>>(
    is_over: &Arc<AtomicBool>,
    prepare: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<Delays> {
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        let mut call = prepare();
        let mut delays = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let began = Instant::now();
            if let Err(error) = call() {
                eprintln!("{error}");
                std::process::exit(1);
            }
            delays.push(began.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(Duration::from_millis(1));
        }
        delays
    })
}

/// A phone that fetches the manifest again and again on one connection.
struct Fetcher(TcpStream);

impl Fetcher {
    fn connect(address: SocketAddr) -> std::io::Result<Fetcher> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Fetcher(stream))
    }

    fn fetch(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"GET /v1/manifest HTTP/1.1\r\nHost: phone\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        loop {
            if let Some(length) = whole_length(&answer)
                && answer.len() >= length
            {
                return Ok(());
            }
            match self.0.read(&mut part)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                length => answer.extend_from_slice(&part[..length]),
            }
        }
    }
}

/// Length of an answer, head and body, once its head is there.
fn whole_length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    Some(head + line.trim().parse::<usize>().ok()?)
}
