//! The kernel side again, for where the first object does not do: kernels before 5.12, and programs that the kernel
//! tells no types (kprobes, tracepoints of system calls).
//!
//! It is made of the same files. What differs: all of the kernel's memory is read through the helper that checks the
//! address, and what is known of a socket is in a table by its address ([`mark`]). So families of any kind share it, and
//! each may have the best kind that the kernel gives it.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod adding;
mod adoption;
mod arrival;
mod call;
mod clock;
mod content;
mod datagrams;
mod exclusion;
mod history;
mod kernel;
mod kprobe;
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
mod syscall;
mod unix_io;
mod unix_life;
mod unix_name;
mod wanted;
mod watch;
