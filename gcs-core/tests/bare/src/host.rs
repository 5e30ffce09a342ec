//! What the program that runs this library gives: files, and a place for the last words.

use core::panic::PanicInfo;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg_attr(target_family = "wasm", link(wasm_import_module = "env"))]
unsafe extern "C" {
    /// The length of a file.
    fn file_length(name: *const u8, name_length: usize) -> usize;
    /// Writes the bytes of a file, as many as `file_length` said.
    fn file_read(name: *const u8, name_length: usize, into: *mut u8);
    /// Shows a message and ends the run.
    fn fail(text: *const u8, text_length: usize) -> !;
}

/// The bytes of a file in the folder of the vectors.
pub(crate) fn file(name: &str) -> Vec<u8> {
    // SAFETY: the host reads the name and writes `file_length` bytes, nothing else.
    unsafe {
        let mut bytes = vec![0; file_length(name.as_ptr(), name.len())];
        file_read(name.as_ptr(), name.len(), bytes.as_mut_ptr());
        bytes
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let text = info.to_string();
    // SAFETY: the host reads the text.
    unsafe { fail(text.as_ptr(), text.len()) }
}
