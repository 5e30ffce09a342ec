//! The server: not built yet. The library, its protocol and a tour of both are.

fn main() {
    eprintln!(
        "gcs-server has no server in it yet.\n\
         See the whole protocol at work: cargo run --release --bin tour"
    );
    std::process::exit(1);
}
