//! The server: not built yet. What it will rest on is, and a tour of that.

fn main() {
    eprintln!(
        "gcs-server has no server in it yet.\n\
         See the whole protocol at work: cargo run --release -p gcs-examples --bin tour"
    );
    std::process::exit(1);
}
