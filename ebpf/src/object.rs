//! What every object needs: a licence that lets it call the kernel's helpers, and a panic handler.

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// Unreachable: the verifier refuses a program that could come here.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
