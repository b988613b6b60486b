//! The project's chores, one subcommand each: `cargo xtask --help`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use xtask::arch::Arch;
use xtask::guest::{self, Guest};
use xtask::setup::Install;
use xtask::{bench, build, check, demo, dist, run, test};

/// Every kernel that guests can run.
const ALL: &str = "all";

/// Builds, runs and tests sockmeter.
///
/// Missing tools are named and then installed, with rustup and apt; nothing else on this machine is
/// changed. Whatever is only needed here goes below target/.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the object that the agent loads into the kernel.
    ///
    /// It is built for bpfel-unknown-none with bpf-linker, and is left at
    /// target/ebpf/bpfel-unknown-none/release/sockmeter.
    BuildEbpf(Setup),
    /// Build the agent and start it on this machine, as root.
    ///
    /// Uses sudo when you are not root. Everything after `--` goes to the agent:
    /// `cargo xtask run -- --help` lists its flags.
    #[command(after_help = "Example: cargo xtask run -- --listen 127.0.0.1:9435")]
    Run {
        #[command(flatten)]
        setup: Setup,
        /// Flags of the agent.
        #[arg(last = true)]
        flags: Vec<String>,
    },
    /// Show the agent at work in a guest, at http://127.0.0.1:9435/metrics.
    ///
    /// The guest has nginx, a Python server and a gentle load on both. This machine's kernel is not
    /// touched and root on it is needed only to share its files with the guest. Ctrl-C ends the demo.
    Demo(Setup),
    /// Boot a kernel in a guest and run a command in it.
    ///
    /// The guest sees this machine's files at the same paths, read-only below a layer in memory: the
    /// checkout, what was built, and the servers that were unpacked for it. It never touches this machine's
    /// kernel, and reaches no network. Its exit code is the command's. What the command leaves in /run/out
    /// is kept below target/guest/runs.
    #[command(after_help = "Example: cargo xtask guest --forward 8080:80 -- 'nginx; sleep 60'")]
    Guest(GuestFlags),
    /// Run every test, those in guests included.
    ///
    /// Those of HTTP and of the I/O paths run three times: with programs that are attached as is best, by
    /// kprobes, and by tracepoints. On other kernels than 6.1 they run once, and what `sockmeter check`
    /// finds there is compared with docs/kernels.md; with a filter, the guest tests that it selects. A kernel
    /// that Debian does not have is skipped, and named at the end.
    #[command(after_help = "Example: cargo xtask test --kernels 6.12,newest")]
    Test {
        #[command(flatten)]
        setup: Setup,
        /// Run the tests for this architecture: those on aarch64 are HTTP in guests, and run only when asked for.
        #[arg(long, default_value = Arch::X86_64.name(), value_parser = arch, conflicts_with = "filter")]
        arch: Arch,
        /// Run on these kernels, not on 6.1 alone.
        #[arg(long, value_name = "all|NAME,...", value_delimiter = ',', value_parser = kernel_or_all())]
        kernels: Vec<String>,
        /// Run only tests with this in their name.
        filter: Option<String>,
    },
    /// Check formatting, lints and the house rules.
    ///
    /// Needs no guest and no kernel toolchain. Where the kernel toolchain is there, the
    /// kernel's code is linted as well.
    Check(Setup),
    /// Build what is handed out: a static agent and its Debian package, below target/dist.
    Dist {
        #[command(flatten)]
        setup: Setup,
        /// For which processors.
        #[arg(long, value_enum, default_value_t = Arches::All)]
        arch: Arches,
    },
    /// Measure what sockmeter costs, and write it to docs/cost.md.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Clone, Copy, ValueEnum)]
enum Arches {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
    All,
}

#[derive(Subcommand)]
enum Bench {
    /// Instructions per request, with and without the agent, in a guest whose clock counts them.
    Request {
        #[command(flatten)]
        setup: Setup,
        /// Measure little, write nothing, and fail when a figure is over 10 % above the committed one.
        #[arg(long)]
        smoke: bool,
    },
    /// What the agent does with records and series: here for times, in a guest for instructions.
    Agent {
        #[command(flatten)]
        setup: Setup,
        /// Measure little, write nothing, and fail when a figure is over 10 % above the committed one.
        #[arg(long)]
        smoke: bool,
    },
}

#[derive(Args)]
struct Setup {
    /// Name what is missing on this machine instead of installing it.
    #[arg(long)]
    no_install: bool,
}

#[derive(Args)]
struct GuestFlags {
    #[command(flatten)]
    setup: Setup,
    /// The guest's kernel.
    #[arg(long, default_value = guest::DEFAULT_KERNEL, value_parser = guest::kernels())]
    kernel: String,
    /// What the guest's kernel and programs are for. On another one than this machine's, the guest runs only programs
    /// of Debian's packages for it, and what was built for it.
    #[arg(long, default_value = Arch::X86_64.name(), value_parser = arch)]
    arch: Arch,
    /// Make a port of the guest reachable at this machine's 127.0.0.1.
    #[arg(long, value_name = "HOST:GUEST", value_parser = forward)]
    forward: Vec<(u16, u16)>,
    /// The guest's memory.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    memory_mib: u32,
    /// The guest's processors.
    #[arg(long, value_name = "N", default_value_t = 2)]
    cpus: u32,
    /// One processor, on which a nanosecond is an instruction: for measuring, as time means nothing there.
    #[arg(long, conflicts_with = "cpus")]
    counted: bool,
    /// When to end a guest that does not end.
    #[arg(long, value_name = "N", default_value_t = 180)]
    limit_seconds: u64,
    /// A Debian package that the guest needs besides the usual ones.
    #[arg(long)]
    package: Vec<String>,
    /// What to run, as bash reads it.
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    match chore(CommandLine::parse().chore) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore(chore: Chore) -> Result<u8> {
    match chore {
        Chore::BuildEbpf(setup) => build::kernel_object(setup.install())?,
        Chore::Run { setup, flags } => match run::run(setup.install(), &flags)? {},
        Chore::Demo(setup) => demo::demo(setup.install())?,
        Chore::Guest(flags) => return run_guest(flags),
        Chore::Test {
            setup,
            arch: Arch::Aarch64,
            kernels: _,
            filter: _,
        } => return test::aarch64(setup.install()),
        Chore::Test {
            setup,
            arch: Arch::X86_64,
            kernels,
            filter,
        } => return test::test(setup.install(), filter.as_deref(), &named(kernels)),
        Chore::Check(setup) => check::check(setup.install())?,
        Chore::Dist { setup, arch } => dist::dist(arch.list(), setup.install())?,
        Chore::Bench(Bench::Request { setup, smoke }) => {
            bench::request::request(setup.install(), smoke)?;
        }
        Chore::Bench(Bench::Agent { setup, smoke }) => {
            bench::agent::agent(setup.install(), smoke)?;
        }
    }
    Ok(0)
}

impl Arches {
    fn list(self) -> &'static [Arch] {
        match self {
            Self::X86_64 => &[Arch::X86_64],
            Self::Aarch64 => &[Arch::Aarch64],
            Self::All => &Arch::ALL,
        }
    }
}

impl Setup {
    fn install(&self) -> Install {
        Install::unless(self.no_install)
    }
}

/// What `--kernels` takes.
fn kernel_or_all() -> Vec<&'static str> {
    [vec![ALL], guest::kernels()].concat()
}

fn named(kernels: Vec<String>) -> Vec<String> {
    if kernels.iter().any(|name| name == ALL) {
        guest::kernels().into_iter().map(str::to_owned).collect()
    } else {
        kernels
    }
}

fn run_guest(flags: GuestFlags) -> Result<u8> {
    guest::prepare(
        flags.arch,
        &flags.kernel,
        &flags.package,
        flags.setup.install(),
    )?;
    let guest = Guest {
        kernel: flags.kernel,
        arch: flags.arch,
        forwards: flags.forward,
        memory_mib: flags.memory_mib,
        cpus: flags.cpus,
        in_turn: false,
        alone: false,
        systemd: false,
        counted: flags.counted,
        limit: Duration::from_secs(flags.limit_seconds),
        packages: flags.package,
        show: true,
        ..Guest::new(flags.command.join(" "))
    };
    let outcome = guest.run()?;
    eprintln!(
        "xtask: the guest ended after {:.1} s with exit code {}",
        outcome.seconds, outcome.exit_code
    );
    if std::fs::read_dir(&outcome.out_dir)?.next().is_some() {
        eprintln!("xtask: it left files in {}", outcome.out_dir.display());
    }
    Ok(u8::try_from(outcome.exit_code).unwrap_or(1))
}

fn arch(text: &str) -> Result<Arch> {
    Arch::named(text).with_context(|| {
        let known = Arch::ALL.map(Arch::name).join(", ");
        format!("there is no such architecture; known are {known}")
    })
}

fn forward(text: &str) -> Result<(u16, u16)> {
    let (host, inside) = text
        .split_once(':')
        .context("two ports are needed, as in 8080:80")?;
    Ok((host.parse()?, inside.parse()?))
}
