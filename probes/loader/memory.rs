//! Gives memory back after loading: reading the kernel's type information takes tens of megabytes
//! for a moment, and the C library's allocator would keep them.

/// Asks the allocator to return what is free to the system.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
