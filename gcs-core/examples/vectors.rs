//! Writes the golden vectors: `cargo run -p gcs-core --example vectors`.

#[path = "../tests/generator/mod.rs"]
mod generator;
#[path = "../tests/golden/mod.rs"]
mod golden;
#[path = "../tests/naive/mod.rs"]
mod naive;
#[path = "../tests/world/mod.rs"]
mod world;

fn main() {
    generator::write();
}
