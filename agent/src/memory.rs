//! Memory that only the start needed goes back to the system.

/// Gives free heap pages back. Reading the kernel's types takes tens of megabytes for a moment, and glibc
/// keeps what lies below its newest allocation; other C libraries have no such call and need none.
#[allow(
    unsafe_code,
    reason = "a foreign function without arguments to get wrong; no crate wraps it"
)]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: thread-safe, touches only the allocator's own state (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
