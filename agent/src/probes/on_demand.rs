//! The programs that are attached to nothing: the agent runs them when it wants to know something.

use super::{Probes, adoption::WALK, chain, listeners::READ};
use aya::programs::{Iter, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun};
use std::{
    fs::File,
    io::{self, Read},
};

/// As large as what the kernel puts together for one read (`PAGE_SIZE << 3`, kernel/bpf/bpf_iter.c).
const WALK_BUFFER_BYTES: usize = 32 * 1024;

impl Probes {
    /// Walks over all open files of the host; what the program wrote about them (`abi::record::Held`).
    ///
    /// # Errors
    /// The program is not loaded, or the kernel's.
    pub fn walk(&mut self) -> io::Result<Vec<u8>> {
        let mut file = self.begin_walk()?;
        let (mut told, mut buffer) = (Vec::new(), vec![0; WALK_BUFFER_BYTES]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(told),
                Ok(length) => told.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                // After a million files about which there was nothing to say, the kernel lets others run.
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A file that walks while it is read.
    ///
    /// # Errors
    /// The program is not loaded, or the kernel's.
    pub fn begin_walk(&mut self) -> io::Result<File> {
        let program = self.ebpf.program_mut(WALK).ok_or_else(|| missing(WALK))?;
        let program: &mut Iter = program.try_into().map_err(refused)?;
        let link = program.attach().map_err(refused)?;
        let link = program.take_link(link).map_err(refused)?;
        link.into_file()
            .map_err(|error| io::Error::other(chain(&error)))
    }

    /// Has the kernel side read a listening socket into its table.
    ///
    /// # Errors
    /// The program is not loaded, or the kernel's.
    pub fn read_listener(&self, cookie: u64) -> io::Result<()> {
        let program = self.ebpf.program(READ).ok_or_else(|| missing(READ))?;
        let program: &RawTracePoint = program.try_into().map_err(refused)?;
        let mut options = RawTracePointRunOptions::new();
        if let Some(first) = options.args.first_mut() {
            *first = cookie;
        }
        program.test_run(options).map(drop).map_err(refused)
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn missing(program: &str) -> io::Error {
    io::Error::other(format!("the kernel object has no program {program}"))
}

fn refused(error: ProgramError) -> io::Error {
    io::Error::other(chain(&error))
}
