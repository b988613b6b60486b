//! Privileges: what the agent gives up once its programs are attached, and what it keeps and why.
//!
//! Capabilities and filters of system calls belong to a thread, and a thread inherits them from the one that
//! starts it. So [`narrow`](Privileges::narrow) is called before there is a second thread, and each thread seals
//! itself when it is set up: see [`Thread`].

mod capabilities;
mod seccomp;

pub use capabilities::{After, Capability, NEEDS, Need, Without, table};
pub use seccomp::{Thread, calls};

use crate::serve::{Part, Status};
use rustix::{
    io::Errno,
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::set_no_new_privs,
};

/// A privilege cannot be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// By the kernel's answer to capset(2) or prctl(2).
    #[error("cannot {what}: {why}")]
    Refused {
        /// What the agent tried.
        what: &'static str,
        /// The kernel's answer.
        why: Errno,
    },
    /// By what stops to work without them.
    #[error("cannot do with fewer capabilities: {0}")]
    Needed(String),
    /// The kernel takes no filter of system calls: it was built without CONFIG_SECCOMP_FILTER, or does not let this
    /// container have one.
    #[error("cannot filter system calls: {0}")]
    Filter(String),
}

pub(crate) fn refused(what: &'static str) -> impl Fn(Errno) -> PrivilegeError {
    move |why| PrivilegeError::Refused { what, why }
}

/// A capability that the agent goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// `CAP_...`
    pub capability: String,
    /// What for.
    pub why: String,
}

/// What the agent may still do.
#[derive(Debug, Default)]
pub struct Privileges {
    kept: Vec<Kept>,
    /// What it could do with more.
    missing: Vec<&'static Need>,
    /// What could not be given up.
    faults: Vec<String>,
}

impl Privileges {
    /// Gives up what nothing needs any more, for this thread and all that it starts: capabilities, by trying with
    /// fewer of them; to get others by executing a file; and to be looked into by other processes of its user,
    /// which have fewer. `fails` does everything for which the kernel may want a capability from now on, and tells
    /// what of that fails.
    pub fn narrow(fails: &mut dyn FnMut() -> Vec<String>) -> Self {
        let mut privileges = Self::default();
        match capabilities::narrow(fails) {
            Ok(capabilities::Narrowed { kept, missing }) => {
                privileges.kept = kept;
                privileges.missing = missing;
            }
            Err(error) => privileges.fault(&error),
        }
        if let Err(why) = set_no_new_privs(true) {
            privileges.fault(&refused("give up what executed files may bring")(why));
        }
        // The server's thread keeps no capability, so whoever has none could trace it, and reach through the memory
        // that they share what the pipeline's thread keeps (ptrace(2), "Ptrace access mode checking").
        if let Err(why) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            privileges.fault(&refused("keep other processes out")(why));
        }
        privileges
    }

    /// Restricts this thread to the system calls of its role. Whatever was not given up is in [`Self::part`].
    pub fn seal(&mut self, thread: Thread) {
        if let Err(error) = seal(thread) {
            self.fault(&error);
        }
    }

    fn fault(&mut self, error: &PrivilegeError) {
        tracing::warn!("{error}; the agent goes on with more rights than it needs");
        self.faults.push(error.to_string());
    }

    /// What is kept, for the log.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Features that are off for want of a capability.
    pub fn missing(&self) -> &[&'static Need] {
        &self.missing
    }

    /// For `/health`.
    pub fn part(&self) -> Part {
        let Self {
            kept,
            missing,
            faults,
        } = self;
        let mut why: Vec<String> = kept
            .iter()
            .map(|Kept { capability, why }| format!("keeps {capability}: {why}"))
            .collect();
        if why.is_empty() && faults.is_empty() {
            why.push("no capability is kept".to_owned());
        }
        why.extend(missing.iter().map(|need| need.lack()));
        why.extend(faults.iter().cloned());
        let status = if missing.is_empty() && faults.is_empty() {
            Status::Ok
        } else {
            Status::Degraded
        };
        Part {
            name: "privileges".to_owned(),
            status,
            why: why.join("; "),
        }
    }
}

/// Restricts this thread to the system calls of its role, and to the capabilities: the server needs none.
///
/// # Errors
/// The kernel's.
pub fn seal(thread: Thread) -> Result<(), PrivilegeError> {
    if thread == Thread::Server {
        capabilities::drop_all()?;
    }
    seccomp::apply(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Vec<Kept> {
        vec![Kept {
            capability: "CAP_SYS_PTRACE".to_owned(),
            why: "whose a process is".to_owned(),
        }]
    }

    #[test]
    fn health_tells_what_is_kept_and_what_is_missing() {
        let mut privileges = Privileges {
            kept: kept(),
            ..Privileges::default()
        };
        let part = privileges.part();
        assert_eq!(part.status, Status::Ok);
        assert_eq!(part.why, "keeps CAP_SYS_PTRACE: whose a process is");
        let need = NEEDS
            .iter()
            .find(|need| need.capability == Capability::DacReadSearch)
            .unwrap();
        privileges.missing.push(need);
        privileges.fault(&PrivilegeError::Filter("no such call".to_owned()));
        let part = privileges.part();
        assert_eq!(part.status, Status::Degraded);
        assert_eq!(
            part.why,
            format!(
                "keeps CAP_SYS_PTRACE: whose a process is; missing CAP_DAC_READ_SEARCH: {}; cannot filter system calls: no such call",
                Without::NoEnvironments.text()
            )
        );
        assert_eq!(Privileges::default().part().why, "no capability is kept");
    }
}
