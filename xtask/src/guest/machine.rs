//! The two programs that make a guest: virtiofsd, which shares the host's files, and QEMU.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Guest;
use crate::command::is_root;
use crate::paths;
use crate::setup::Virtiofsd;

/// The guest writes its exit code here.
pub(crate) const CODE_FILE: &str = "code";
/// The guest writes a tar of /run/out here.
pub(crate) const OUT_IMAGE: &str = "out.img";
const OUT_BYTES: u64 = 512 << 20;

/// What QEMU may use before the guest's first process has said that it is there, in seconds of all its threads. A boot
/// takes about five. (Not real time: the host may be busy.)
const BOOT_CPU_SECONDS_MAX: f64 = 60.0;

/// Saves time where it costs no realism that the tests need.
const KERNEL_OPTIONS: &str = "quiet panic=-1 nokaslr mitigations=off audit=0 cryptomgr.notests rcupdate.rcu_expedited=1 random.trust_cpu=on apparmor=0 selinux=0 nowatchdog";

/// `USER_HZ`, the same on all architectures that run guests.
const USER_TICKS_PER_SECOND: f64 = 100.0;

/// Relative to the run's folder, as the path of a socket may have 107 bytes at most. It tells checkouts and their guests
/// apart because QEMU's virtiofsd locks a file of that name in /run.
fn socket(place: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (paths::checkout(), place).hash(&mut hasher);
    format!("sockmeter-{:016x}", hasher.finish())
}

/// A running guest. Both programs end with it, and with the thread that started them.
pub(crate) struct Machine {
    qemu: Child,
    virtiofsd: Child,
    console: Console,
    reader: Option<JoinHandle<()>>,
}

/// What a kernel says that cannot go on.
const PANIC: &str = "Kernel panic";

impl Machine {
    pub(crate) fn start(
        guest: &Guest,
        vmlinux: &Path,
        initramfs: &Path,
        run: &Path,
        place: &str,
    ) -> Result<Self> {
        let socket = &socket(place);
        std::fs::File::create(run.join(OUT_IMAGE))?.set_len(OUT_BYTES)?;
        // A machine that did not boot leaves its socket, which nobody listens to.
        let _ = std::fs::remove_file(run.join(socket));
        let mut virtiofsd = start_virtiofsd(run, socket)?;
        if let Err(why) = wait_for_socket(run, socket, &mut virtiofsd) {
            end(&mut virtiofsd);
            return Err(why);
        }
        match start_qemu(guest, vmlinux, initramfs, run, socket) {
            Ok((qemu, console, reader)) => Ok(Self {
                qemu,
                virtiofsd,
                console,
                reader: Some(reader),
            }),
            Err(why) => {
                end(&mut virtiofsd);
                Err(why)
            }
        }
    }

    /// Waits for the guest's first process. False if it does not come: with several processors an emulated kernel may
    /// spin for good before, in code that is none of ours (seen at "Loading compiled-in X.509 certificates"), or panic at
    /// a breakpoint that it had taken back (7.2, in `sched_clock_cpu`).
    pub(crate) fn boots(&mut self, run: &Path) -> Result<bool> {
        let is_there = || std::fs::metadata(run.join(CODE_FILE)).is_ok_and(|file| file.len() > 0);
        while !self.has_ended()? {
            if is_there() {
                return Ok(true);
            }
            if cpu_seconds(self.qemu.id())? > BOOT_CPU_SECONDS_MAX {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever waits for its end says why.
        Ok(is_there() || !self.console().contains(PANIC))
    }

    /// Whether QEMU has ended by itself, as after a panic in the guest.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.qemu.try_wait()?.is_some())
    }

    /// Ends the guest if it runs, and returns everything that its console said.
    pub(crate) fn stop(&mut self) -> String {
        end(&mut self.qemu);
        end(&mut self.virtiofsd);
        if let Some(reader) = self.reader.take() {
            // A panic in there has already been printed; what was read until then is there.
            let _ = reader.join();
        }
        self.console()
    }

    /// Everything that the console said so far.
    pub(crate) fn console(&self) -> String {
        let bytes = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.qemu);
        end(&mut self.virtiofsd);
    }
}

/// What a process has used, with all its threads.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind its name, which may hold anything, proc(5) counts on from field 3; 14 and 15 are user and system time.
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / USER_TICKS_PER_SECOND)
}

fn end(child: &mut Child) {
    // Both fail only when the process is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// A program that the kernel ends when we end, however that happens.
fn bound_to_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn start_virtiofsd(run: &Path, socket: &str) -> Result<Child> {
    let mut command = match Virtiofsd::find().context("there is no virtiofsd")? {
        Virtiofsd::InC(_) if !is_root() => bail!(
            "sharing the host's files with QEMU's own virtiofsd needs root: run `sudo -E env PATH=\"$PATH\" cargo xtask ...`, \
             or install the newer virtiofsd, which does without (not tried)"
        ),
        Virtiofsd::InC(program) => {
            let mut command = bound_to_us(&program);
            // A pivot_root, its other sandbox, is refused where / is the first file system.
            command.args([
                "-f",
                "-o",
                "source=/,sandbox=chroot,cache=always,log_level=warn",
            ]);
            command
        }
        Virtiofsd::InRust(program) => {
            let mut command = bound_to_us(&program);
            // With announced submounts overlayfs refuses the share.
            command.args([
                "--shared-dir=/",
                "--sandbox=none",
                "--readonly",
                "--cache=always",
                "--no-announce-submounts",
            ]);
            command
        }
    };
    let log = std::fs::File::create(run.join("virtiofsd.log"))?;
    command
        .arg(format!("--socket-path={socket}"))
        .current_dir(run)
        .stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    command
        .spawn()
        .context("cannot start virtiofsd through setpriv")
}

fn wait_for_socket(run: &Path, socket: &str, virtiofsd: &mut Child) -> Result<()> {
    let started = Instant::now();
    while !run.join(socket).exists() {
        let ended = virtiofsd.try_wait()?;
        if ended.is_some() || started.elapsed() > Duration::from_secs(20) {
            let log = std::fs::read_to_string(run.join("virtiofsd.log")).unwrap_or_default();
            bail!(
                "virtiofsd does not share the host's files; it said:\n{}",
                log.trim()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

type Console = Arc<Mutex<Vec<u8>>>;

fn start_qemu(
    guest: &Guest,
    vmlinux: &Path,
    initramfs: &Path,
    run: &Path,
    socket: &str,
) -> Result<(Child, Console, JoinHandle<()>)> {
    let log = std::fs::File::create(run.join("qemu.log"))?;
    let (emulator, _) = guest.arch.emulator();
    let mut qemu = bound_to_us(Path::new(emulator))
        .args(arguments(guest, socket))
        .arg("-kernel")
        .arg(vmlinux)
        .arg("-initrd")
        .arg(initramfs)
        .current_dir(run)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {emulator} through setpriv"))?;
    let output = qemu.stdout.take().context("qemu has no output")?;
    let console = Console::default();
    let (kept, show) = (Arc::clone(&console), guest.show);
    let reader = std::thread::spawn(move || read_console(output, &kept, show));
    Ok((qemu, console, reader))
}

/// Under this a processor's clock is the number of instructions that it ran: one nanosecond each, and none while it
/// is idle. It has one processor, and nothing that differs from one boot to the next.
const COUNTED: [(&str, &str); 3] = [
    ("-icount", "shift=0,sleep=off"),
    ("-seed", "1"),
    ("-rtc", "base=2026-01-01T00:00:00,clock=vm"),
];

fn arguments(guest: &Guest, socket: &str) -> Vec<String> {
    let mut network = "user,id=net,restrict=on".to_owned();
    for (host, inside) in &guest.forwards {
        network.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host}-:{inside}"));
    }
    let memory = format!("{}M", guest.memory_mib);
    let (threads, cpus, options) = if guest.counted {
        ("single", 1, " norandmaps")
    } else if guest.in_turn {
        ("single", guest.cpus, "")
    } else {
        ("multi", guest.cpus, "")
    };
    let own: Vec<(&str, String)> = if guest.counted {
        COUNTED
            .map(|(option, value)| (option, value.to_owned()))
            .into()
    } else {
        vec![("-device", "virtio-rng-pci".to_owned())]
    };
    let pairs = [
        ("-accel", format!("tcg,thread={threads},tb-size=512")),
        ("-smp", cpus.to_string()),
        ("-m", memory.clone()),
        ("-display", "none".to_owned()),
        (
            "-append",
            format!("{} {KERNEL_OPTIONS}{options}", guest.arch.kernel_options()),
        ),
        (
            "-object",
            format!("memory-backend-memfd,id=memory,size={memory},share=on"),
        ),
        ("-numa", "node,memdev=memory".to_owned()),
        ("-chardev", format!("socket,id=files,path={socket}")),
        (
            "-device",
            "vhost-user-fs-pci,chardev=files,tag=root".to_owned(),
        ),
        ("-netdev", network),
        ("-device", "virtio-net-pci,netdev=net,romfile=".to_owned()),
        (
            "-drive",
            format!("file={OUT_IMAGE},if=none,id=out,format=raw,cache=unsafe"),
        ),
        ("-device", "virtio-blk-pci,drive=out".to_owned()),
    ];
    let single = ["-nodefaults", "-no-user-config", "-no-reboot"].map(str::to_owned);
    single
        .into_iter()
        .chain(
            guest
                .arch
                .machine(CODE_FILE)
                .into_iter()
                .chain(pairs)
                .chain(own)
                .flat_map(|(option, value)| [option.to_owned(), value]),
        )
        .collect()
}

/// Keeps what the console says, without the carriage returns of a terminal.
fn read_console(mut output: impl Read, kept: &Mutex<Vec<u8>>, show: bool) {
    let mut buffer = [0; 4096];
    while let Ok(count) = output.read(&mut buffer) {
        let mut bytes = buffer.get(..count).unwrap_or_default().to_vec();
        if bytes.is_empty() {
            break;
        }
        bytes.retain(|byte| *byte != b'\r');
        if show {
            let mut screen = std::io::stdout().lock();
            // A closed standard output must not end the guest.
            let _ = screen.write_all(&bytes).and_then(|()| screen.flush());
        }
        kept.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&bytes);
    }
}
