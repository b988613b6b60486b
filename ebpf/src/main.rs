//! sockmeter's kernel side: the module list.
//!
//! It counts bytes per connection, copies the first bytes of each call, and knows no protocol. It
//! reads only: no program writes to user memory, packets, sockets or processes.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod adding;
mod adoption;
mod arrival;
mod clock;
mod content;
mod datagrams;
mod exclusion;
mod history;
mod kernel;
mod listeners;
mod mark;
mod object;
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
mod wanted;
mod watch;
