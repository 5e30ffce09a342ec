//! Work that takes long, in threads of its own.

use std::io;

use tokio::sync::oneshot;

/// Does something that may take minutes, in a thread with a name that does not keep the process from ending. Whatever
/// it is about must be whole wherever that ends.
///
/// # Errors
/// When the system cannot start a thread.
pub(crate) fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    let work = move || {
        // Perhaps nobody waits any more.
        let _unwanted = done.send(work());
    };
    std::thread::Builder::new().name(name.into()).spawn(work)?;
    Ok(result)
}
