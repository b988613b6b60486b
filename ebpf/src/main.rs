//! sockmeter's kernel side: the module list, the licence, the panic handler.
//!
//! It counts bytes per connection, copies the first bytes of each call, and knows no protocol. It
//! reads only: no program writes to user memory, packets, sockets or processes.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod adding;
mod adoption;
mod content;
mod datagrams;
mod history;
mod kernel;
mod listeners;
mod mark;
mod output;
mod process_life;
mod sequence;
mod socket_io;
mod socket_life;
mod state;
mod stream;
mod unix_io;
mod unix_life;
mod unix_name;
mod watch;

/// Unreachable: the verifier refuses a program that could come here.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
