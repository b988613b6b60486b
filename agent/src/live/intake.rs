//! Intake: what stands between the ring and the pipeline. Asks `/proc` who a record's process is, and keeps the
//! recording.

use super::{LiveError, PROC};
use crate::{
    pipeline::{Pipeline, Steer},
    records::{ConnectionId, Direction, Record, Segment, maps::Slots, recording},
};
use sockmeter_abi::{CAPTURE_EXCLUDED, RECEIVE, TRANSMIT};
use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// What stands between the ring and the pipeline.
pub(super) struct Intake {
    proc_root: PathBuf,
    recording: Option<(PathBuf, BufWriter<File>)>,
    /// Processes that /proc was asked for since the last tick: once is enough.
    pub(super) asked: HashSet<u32>,
    /// Records that were not understood.
    pub(super) malformed: u64,
    /// The recording could not be written; reported by the next turn.
    failed: Option<io::Error>,
}

impl Intake {
    pub(super) fn new(recording: Option<&Path>) -> Result<Self, LiveError> {
        let recording = recording.map(|path| {
            // It holds the content of requests: for the owner only.
            let file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(path);
            file.map(|file| (path.to_owned(), BufWriter::new(file)))
                .map_err(|source| LiveError::Recording {
                    path: path.to_owned(),
                    source,
                })
        });
        Ok(Self {
            proc_root: PathBuf::from(PROC),
            recording: recording.transpose()?,
            asked: HashSet::new(),
            malformed: 0,
            failed: None,
        })
    }

    /// Reads a record, or counts that it could not be read.
    pub(super) fn parse<'a>(&mut self, bytes: &'a [u8]) -> Option<Record<'a>> {
        match Record::parse(bytes) {
            Ok(record) => Some(record),
            Err(error) => {
                if self.malformed == 0 {
                    tracing::warn!("{error}");
                }
                self.malformed += 1;
                None
            }
        }
    }

    /// Pushes a record, after what must be known of its process.
    pub(super) fn push(&mut self, record: Record<'_>, pipeline: &mut Pipeline, slots: &Slots) {
        if let Some(pid) = pipeline.unnamed(&record) {
            self.ask(pid, pipeline, slots);
        }
        if let Record::Started(started) = &record {
            // It may have been asked for under its old program.
            self.asked.remove(&started.pid);
        }
        self.put(record, pipeline, slots);
    }

    /// The same, of what nearly all records are.
    pub(super) fn push_segment(
        &mut self,
        segment: Segment<'_>,
        pipeline: &mut Pipeline,
        slots: &Slots,
    ) {
        if self.recording.is_some() {
            return self.push(Record::Segment(segment), pipeline, slots);
        }
        if let Some(pid) = pipeline.unnamed_of(&segment) {
            self.ask(pid, pipeline, slots);
        }
        pipeline.push_segment(segment, &mut Steering(slots));
    }

    /// Looks who a process is.
    #[cold]
    fn ask(&mut self, pid: u32, pipeline: &mut Pipeline, slots: &Slots) {
        if !self.asked.insert(pid) {
            return;
        }
        let known = |pid| !pipeline.wants_facts(pid);
        let found = crate::identity::process::read_with_ancestors(&self.proc_root, pid, &known);
        for facts in found {
            self.put(Record::Process(facts), pipeline, slots);
        }
    }

    pub(super) fn put(&mut self, record: Record<'_>, pipeline: &mut Pipeline, slots: &Slots) {
        if let Some((_, out)) = &mut self.recording
            && let Err(error) = recording::write(&record, out)
        {
            self.failed.get_or_insert(error);
        }
        pipeline.push(record, &mut Steering(slots));
    }

    /// Reports a recording that cannot be written.
    pub(super) fn check(&mut self) -> Result<(), LiveError> {
        let flushed = self.recording.as_mut().map(|(_, out)| out.flush());
        if let Some(Err(error)) = flushed {
            self.failed.get_or_insert(error);
        }
        match (self.failed.take(), &self.recording) {
            (Some(source), Some((path, _))) => Err(LiveError::Recording {
                path: path.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// The pipeline's words to the kernel side.
struct Steering<'a>(&'a Slots);

impl Steer for Steering<'_> {
    fn exclude(&mut self, slot: u32, connection: ConnectionId) {
        for direction in [RECEIVE, TRANSMIT] {
            self.0
                .set_capture_bytes(slot, connection.0, direction, CAPTURE_EXCLUDED);
        }
    }

    fn capture_nothing(&mut self, slot: u32, connection: ConnectionId) {
        for direction in [RECEIVE, TRANSMIT] {
            self.0.set_capture_bytes(slot, connection.0, direction, 0);
        }
    }

    fn skip_until(
        &mut self,
        slot: u32,
        connection: ConnectionId,
        direction: Direction,
        position: u64,
    ) {
        let direction = match direction {
            Direction::Receive => RECEIVE,
            Direction::Transmit => TRANSMIT,
        };
        self.0
            .set_skip_until(slot, connection.0, direction, position);
    }
}
