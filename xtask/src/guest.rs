//! Boots a kernel in a guest, runs a command in it, returns its output and exit code.
//!
//! The guest sees the host's files at the same paths, read-only, below a layer in memory; so it runs
//! what was built on the host. Two guests run at a time, also across processes: the others wait.

mod arch;
mod cpio;
mod initramfs;
mod kernel;
mod machine;
mod packages;
mod scenarios;
mod turn;
mod unpack;
mod vmlinux;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

pub use self::kernel::Absent;
use self::kernel::Kernel;
use self::machine::Machine;
use self::turn::Turn;
use crate::arch::Arch;
use crate::command::{output, tail};
use crate::paths;
use crate::progress::say;
use crate::setup::{self, Install};

/// The kernel that a guest runs when nothing else is said.
pub const DEFAULT_KERNEL: &str = "6.1";
/// The kernels that aarch64 guests of the tests run: the last release that attaches to no function by trampolines
/// there, and one that does.
pub const AARCH64_KERNELS: [&str; 2] = ["6.1", "6.12"];
/// Folders of earlier runs that are kept: more than a run of all tests makes before the first of them is looked at.
const KEPT_RUNS: usize = 60;
/// How often a guest is booted whose kernel comes to no first process.
const BOOTS_MAX: u32 = 3;
/// How much of the console a failure shows.
const TAIL_LINES: usize = 30;

/// What to run, and in what kind of guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Run by `bash`, as root, in the checkout's top folder.
    pub command: String,
    /// One of [`kernels`].
    pub kernel: String,
    /// Of the kernel and of the programs that the guest runs.
    pub arch: Arch,
    /// Pairs (port on the host's 127.0.0.1, port in the guest), TCP. The guest reaches nothing else.
    pub forwards: Vec<(u16, u16)>,
    /// Memory of the guest.
    pub memory_mib: u32,
    /// Processors of the guest.
    pub cpus: u32,
    /// One thread emulates all processors, in turn. With a thread each, QEMU may go on executing the breakpoint by which
    /// the kernel patches a function, after it is gone: programs that are attached or detached while another processor
    /// runs their function hang both then.
    pub in_turn: bool,
    /// No other guest runs beside it.
    pub alone: bool,
    /// Its first process is systemd, of a package or the host's, which starts nothing but what the command tells it to.
    pub systemd: bool,
    /// One processor whose clock counts its instructions, a nanosecond each: what a process costs repeats from boot to
    /// boot. Real time means nothing in it.
    pub counted: bool,
    /// A guest that runs longer is ended, and its run an error.
    pub limit: Duration,
    /// Debian packages that the command needs beside those that every guest has.
    pub packages: Vec<String>,
    /// Whether the console goes to standard output while the guest runs.
    pub show: bool,
}

/// What came out of a run whose command came to its end.
#[derive(Debug)]
pub struct Outcome {
    /// The command's exit code.
    pub exit_code: i32,
    /// What the command printed, and what the kernel had to say.
    pub console: String,
    /// From the start of the guest to its end; the wait for another guest does not count.
    pub seconds: f64,
    /// What the command left in the guest's `/run/out`.
    pub out_dir: PathBuf,
}

/// A guest that runs. Dropping it ends it; so does the end of the thread that started it.
pub struct Running {
    machine: Machine,
    limit: Duration,
    shown: bool,
    started: Instant,
    folder: PathBuf,
    // Held as long as the guest runs.
    _turn: Turn,
}

/// The names of the kernels that guests can run.
#[must_use]
pub fn kernels() -> Vec<&'static str> {
    Kernel::names()
}

/// Gets everything that guests with this kernel and these additional packages need.
///
/// # Errors
/// When something is missing and cannot be, or may not be, had; [`Absent`] if Debian does not have the kernel.
pub fn prepare(arch: Arch, kernel: &str, more_packages: &[String], install: Install) -> Result<()> {
    let _turn = Turn::all()?;
    prepare_in_turn(arch, kernel, more_packages, install).map(|_| ())
}

/// Gets everything that the scripts in `tests/guest` need, and builds what they run.
///
/// # Errors
/// When something is missing and cannot be, or may not be, had, or a program does not build.
pub fn prepare_scenarios(install: Install) -> Result<()> {
    let _turn = Turn::all()?;
    let packages = scenarios::packages_of_all()?;
    prepare_in_turn(Arch::X86_64, DEFAULT_KERNEL, &packages, install)?;
    scenarios::build_programs()
}

/// The packages that a script in `tests/guest` names, in a line `# Packages: NAME...`.
#[must_use]
pub fn packages_of(script: &str) -> Vec<String> {
    scenarios::packages_of(script)
}

/// Where the Go programs of `tests/guest/programs` are, once [`prepare_scenarios`] has built them.
#[must_use]
pub fn programs() -> PathBuf {
    scenarios::programs()
}

impl Guest {
    /// A guest as the tests use it: kernel 6.1, 2 processors, 2 GiB, 180 seconds.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            kernel: DEFAULT_KERNEL.to_owned(),
            arch: Arch::X86_64,
            forwards: Vec::new(),
            memory_mib: 2048,
            cpus: 2,
            in_turn: false,
            alone: false,
            systemd: false,
            counted: false,
            limit: Duration::from_secs(180),
            packages: Vec::new(),
            show: false,
        }
    }

    /// Starts the guest and waits for its end.
    ///
    /// # Errors
    /// When the guest cannot be started, passes its limit, or ends without an exit code.
    pub fn run(&self) -> Result<Outcome> {
        self.start()?.wait()
    }

    /// Starts the guest, so that the host can talk to it through its forwards while it runs.
    ///
    /// # Errors
    /// When something is missing (`cargo xtask guest` gets it), or QEMU does not start.
    pub fn start(&self) -> Result<Running> {
        let turn = if self.alone {
            Turn::all()?
        } else {
            Turn::one()?
        };
        let (kernel, packages) =
            prepare_in_turn(self.arch, &self.kernel, &self.packages, Install::Refused)?;
        let folder = new_run_folder()?;
        let initramfs = folder.join("initramfs");
        std::fs::write(&initramfs, initramfs::build(self, &kernel, &packages)?)
            .with_context(|| format!("cannot write {}; is the disk full?", initramfs.display()))?;
        let started = Instant::now();
        let machine = self.boot(&kernel.vmlinux, &initramfs, &folder, turn.place)?;
        Ok(Running {
            machine,
            limit: self.limit,
            shown: self.show,
            started,
            folder,
            _turn: turn,
        })
    }
}

impl Guest {
    /// A guest whose first process runs.
    fn boot(
        &self,
        vmlinux: &Path,
        initramfs: &Path,
        folder: &Path,
        place: &str,
    ) -> Result<Machine> {
        for _ in 0..BOOTS_MAX {
            let mut machine = Machine::start(self, vmlinux, initramfs, folder, place)?;
            if machine.boots(folder)? {
                return Ok(machine);
            }
            say("the guest's kernel came to no first process; it is booted again");
            let _ = machine.stop();
        }
        bail!("the guest's kernel came to no first process {BOOTS_MAX} times in a row")
    }
}

impl Running {
    /// What the console said so far.
    #[must_use]
    pub fn console(&self) -> String {
        self.machine.console()
    }

    /// How long the guest has been running.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Whether the command, or the whole guest, has ended.
    ///
    /// # Errors
    /// When the state of QEMU cannot be read.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.exit_code().is_some() || self.machine.has_ended()?)
    }

    /// Waits until the command and the guest have ended.
    ///
    /// # Errors
    /// When the guest passes its limit or ends without an exit code.
    pub fn wait(mut self) -> Result<Outcome> {
        let mut in_time = true;
        while in_time && !self.has_ended()? {
            std::thread::sleep(Duration::from_millis(10));
            in_time = self.started.elapsed() < self.limit;
        }
        let seconds = self.seconds();
        let console = self.machine.stop();
        // Only to look at, so the run does not fail without it.
        let _ = std::fs::write(self.folder.join("console"), &console);
        let Some(exit_code) = self.exit_code() else {
            let limit = self.limit.as_secs();
            let why = if in_time {
                "the guest ended without an exit code".to_owned()
            } else {
                format!("the guest did not end and was stopped at its limit of {limit} s")
            };
            bail!("{why}; {}", self.last_words(&console));
        };
        let out_dir = take_out(&self.folder)?;
        Ok(Outcome {
            exit_code,
            console,
            seconds,
            out_dir,
        })
    }

    /// What explains a failure: QEMU's own messages and, unless it was shown, the end of the console.
    fn last_words(&self, console: &str) -> String {
        let qemu = std::fs::read_to_string(self.folder.join("qemu.log")).unwrap_or_default();
        let console = if self.shown {
            "see the end of its console above".to_owned()
        } else {
            format!("its console ended with:\n{}", tail(console, TAIL_LINES))
        };
        format!("{console}\n{}", qemu.trim()).trim_end().to_owned()
    }

    /// The command's exit code, which is the last thing that a guest tells.
    fn exit_code(&self) -> Option<i32> {
        let code = std::fs::read_to_string(self.folder.join(machine::CODE_FILE)).ok()?;
        code.trim_end_matches('\r')
            .strip_suffix('\n')?
            .trim()
            .parse()
            .ok()
    }
}

fn prepare_in_turn(
    arch: Arch,
    kernel: &str,
    more_packages: &[String],
    install: Install,
) -> Result<(Kernel, PathBuf)> {
    setup::guest_tools(arch, install)?;
    let known = !Kernel::names().contains(&kernel) || Kernel::is_ready(arch, kernel);
    if install == Install::Refused && !(known && packages::are_ready(arch, more_packages)) {
        bail!(
            "missing: the guest's kernel {kernel} or packages, which are unpacked below target/guest; `cargo xtask guest{} --kernel {kernel} true` gets them",
            arch.flag()
        );
    }
    Ok((
        Kernel::prepare(arch, kernel)?,
        packages::prepare(arch, more_packages)?,
    ))
}

/// A folder for one run; names sort by age, and the oldest go.
fn new_run_folder() -> Result<PathBuf> {
    let runs = paths::guests().join("runs");
    std::fs::create_dir_all(&runs)?;
    let mut old: Vec<PathBuf> = std::fs::read_dir(&runs)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    old.sort();
    for folder in old.iter().take(old.len().saturating_sub(KEPT_RUNS)) {
        std::fs::remove_dir_all(folder)?;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let folder = runs.join(format!("{:016}-{}", now.as_micros(), std::process::id()));
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

/// Unpacks what the guest left, and drops the large files of the run.
fn take_out(run: &Path) -> Result<PathBuf> {
    let image = run.join(machine::OUT_IMAGE);
    let out = run.join("out");
    std::fs::create_dir(&out)?;
    let mut first = [0_u8; 1];
    std::os::unix::fs::FileExt::read_exact_at(&File::open(&image)?, &mut first, 0)?;
    if first != [0] {
        output(
            Command::new("tar")
                .arg("-xf")
                .arg(&image)
                .arg("-C")
                .arg(&out)
                .arg("--no-same-owner"),
        )
        .context("cannot read what the guest left in /run/out (512 MiB at most)")?;
    }
    std::fs::remove_file(image)?;
    let _ = std::fs::remove_file(run.join("initramfs"));
    Ok(out)
}
