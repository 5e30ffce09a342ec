//! COVIDSafe's first day: a million registrations, in bursts of ten times the mean.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use actix_web::rt;
use gcs_benches::server::Checked;

use crate::arrivals::arrive;
use crate::phones::{Load, Sent, Visit, register, start, steps};
use crate::table;

/// Ten times a million in 24 hours, a second.
pub(crate) const BURST: f64 = 10.0 * 1_000_000.0 / 86_400.0;

/// Seconds of a burst.
const SECONDS: f64 = 30.0;

/// Phones at once, each of which registers users one after the other, as fast as that goes.
const CROWD: usize = 64;

/// Users of all of them. With those of the burst they are fewer than a server sends passwords to in a minute.
const MOST: usize = 8000;

/// The first phone number, without the plus.
const FIRST: u64 = 61_400_000_000;

/// Measures a burst with each sender, and how many registrations there can be.
pub(crate) fn measure(program: &Path, folder: &Path, share: usize) -> Checked<String> {
    eprintln!("a burst of registrations");
    let passwords = folder.join("passwords");
    let sender = format!("file:{}", passwords.display());
    let server = start(program, &folder.join("day"), &sender)?;
    let sent = Rc::new(Sent::to(&passwords));
    let load = Load::begin(&server)?;
    let visits = burst(server.public, &sent, FIRST, share)?;
    let (busy, took) = (load.seconds()?, load.elapsed().as_secs_f64());
    let most = server.process.most_resident()?;
    let mut page = format!(
        "## COVIDSafe's day\n\n{} registrations in {SECONDS:.0} s, {BURST:.1} a second: ten times the mean of a million in 24 \
         hours. They come at random times; the sender is a file.\n\n{}",
        visits.len(),
        table::times(&steps(&visits))
    );
    let each = |seconds: f64, count: usize| format!("{:.2} ms", seconds * 1e3 / count as f64);
    let mut rows = vec![
        ("processor time of the server, of two cores", format!("{:.1} %", busy / took * 50.0)),
        ("processor time of a registration", each(busy, visits.len())),
        ("most memory of the server", table::megabytes(most)),
    ];
    eprintln!("registrations as fast as they go");
    let load = Load::begin(&server)?;
    let count = crowd(server.public, &sent, FIRST + 1_000_000, MOST / share)?;
    let rate = count as f64 / load.elapsed().as_secs_f64();
    rows.push(("registrations a second, of 64 phones without a pause", format!("{rate:.0}")));
    rows.push(("processor time of one of these", each(load.seconds()?, count)));
    page += &table::figures(&rows);
    drop(server);

    eprintln!("a burst with a command");
    let passwords = folder.join("commanded");
    let server = start(program, &folder.join("command"), &command(folder, &passwords)?)?;
    let sent = Rc::new(Sent::to(&passwords));
    let visits = burst(server.public, &sent, FIRST, share)?;
    page += "The same burst, with a command as the sender, a shell script that runs `cat`:\n\n";
    page += &table::times(&steps(&visits));
    Ok(page)
}

/// A command that appends what it gets to a file.
fn command(folder: &Path, passwords: &Path) -> Checked<String> {
    let path = folder.join("send");
    let passwords = std::path::absolute(passwords)?;
    std::fs::write(&path, format!("#!/bin/sh\nexec cat >> '{}'\n", passwords.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
    Ok(format!("command:{}", std::path::absolute(path)?.display()))
}

/// Registrations at ten times the mean.
fn burst(address: SocketAddr, sent: &Rc<Sent>, first: u64, share: usize) -> Checked<Vec<Visit>> {
    let count = (BURST * SECONDS) as usize / share;
    rt::System::new().block_on(arrive(count, BURST, |number, due| {
        let sent = Rc::clone(sent);
        async move { register(address, &sent, first + number as u64, due).await }
    }))
}

/// Registrations one after the other in each of many clients. Gives how many.
fn crowd(address: SocketAddr, sent: &Rc<Sent>, first: u64, count: usize) -> Checked<usize> {
    let each = count / CROWD;
    rt::System::new().block_on(async {
        let phone = |client: usize| {
            let sent = Rc::clone(sent);
            async move {
                for number in 0..each {
                    let number = first + (client * each + number) as u64;
                    let visit = register(address, &sent, number, Instant::now()).await;
                    visit.map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(())
            }
        };
        let phones: Vec<_> = (0..CROWD).map(|client| rt::spawn(phone(client))).collect();
        for phone in phones {
            phone.await??;
        }
        Ok(each * CROWD)
    })
}
