//! Kernels for guests: Debian's cloud kernels, unpacked below `target/`, never installed.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{unpack, vmlinux};
use crate::arch::Arch;
use crate::command::output;
use crate::paths;
use crate::progress::step;
use crate::setup::apt::OtherRelease;

/// A kernel series and the Debian release that has it.
struct Series {
    name: &'static str,
    release: &'static str,
    package: Package,
}

/// Which of the release's kernels it is.
enum Package {
    /// The current one.
    Current,
    /// The newest of the series: the release has gone on to others, and still has it.
    Kept,
}

/// One row is one kernel that guests can run.
const SERIES: [Series; 5] = [
    Series {
        name: "5.10",
        release: "bullseye",
        package: Package::Current,
    },
    Series {
        name: "6.1",
        release: "bookworm",
        package: Package::Current,
    },
    Series {
        name: "6.12",
        release: "trixie",
        package: Package::Current,
    },
    Series {
        name: "6.18",
        release: "trixie-backports",
        package: Package::Kept,
    },
    Series {
        name: "newest",
        release: "sid",
        package: Package::Current,
    },
];

/// How the packages of kernels begin; behind the version they end with the flavour and the arch's name.
const PACKAGE_BEGINS: &str = "linux-image-";
/// The flavour.
const PACKAGE_FLAVOUR: &str = "cloud-";

/// What the guest needs before it has a root; anything else is there for `modprobe`.
const MODULES: [&str; 7] = [
    "virtio_pci",
    "virtio_net",
    "virtio_rng",
    "virtio_blk",
    "fuse",
    "virtiofs",
    "overlay",
];

/// Debian does not have a kernel: not its release any more, or the release not the package. The server was asked, so
/// this is no fault of the network.
#[derive(Debug)]
pub struct Absent(String);

impl fmt::Display for Absent {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl Error for Absent {}

/// A kernel that is ready to boot.
pub(crate) struct Kernel {
    pub(crate) vmlinux: PathBuf,
    /// Laid over the host's files, so that `modprobe` works in the guest.
    pub(crate) tree: PathBuf,
    /// In the order in which they are loaded.
    pub(crate) modules: Vec<PathBuf>,
}

impl Kernel {
    /// The names that `--kernel` takes.
    pub(crate) fn names() -> Vec<&'static str> {
        SERIES.iter().map(|series| series.name).collect()
    }

    /// Whether the kernel was prepared before.
    pub(crate) fn is_ready(arch: Arch, name: &str) -> bool {
        folder(arch, name).is_dir()
    }

    /// Gets the kernel, from the network when it was not there before.
    pub(crate) fn prepare(arch: Arch, name: &str) -> Result<Self> {
        let Some(series) = SERIES.iter().find(|series| series.name == name) else {
            bail!(
                "there is no kernel `{name}`; known are {}",
                Self::names().join(", ")
            );
        };
        let folder = folder(arch, name);
        if !folder.is_dir() {
            step(
                &format!(
                    "getting kernel {name} from Debian {} {}",
                    series.release,
                    arch.debian()
                ),
                || get(arch, series, &folder),
            )
            .with_context(|| format!("cannot get kernel {name}"))?;
        }
        let mut modules: Vec<PathBuf> = std::fs::read_dir(folder.join("modules"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        modules.sort();
        Ok(Self {
            vmlinux: folder.join("vmlinux"),
            tree: folder.join("tree"),
            modules,
        })
    }
}

fn folder(arch: Arch, name: &str) -> PathBuf {
    let name = format!("{name}{}", arch.suffix());
    paths::guests().join("kernels").join(name)
}

/// Where the lists of a release's packages are.
pub(super) fn apt_folder(arch: Arch, release: &str) -> PathBuf {
    let name = format!("{release}{}", arch.suffix());
    paths::guests().join("apt").join(name)
}

/// Makes the folder beside its place and moves it there when it is whole.
fn get(arch: Arch, series: &Series, folder: &Path) -> Result<()> {
    let partial = folder.with_file_name(format!("{}{}.partial", series.name, arch.suffix()));
    if partial.exists() {
        std::fs::remove_dir_all(&partial)?;
    }
    let archives = partial.join("archives");
    std::fs::create_dir_all(&archives)?;
    download(arch, series, &archives)?;
    let tree = partial.join("tree");
    unpack::unpack_all(&archives, &tree)?;
    std::fs::remove_dir_all(&archives)?;

    let version = only_entry(&tree.join("usr/lib/modules"))?;
    let modules = tree.join("usr/lib/modules").join(&version);
    output(Command::new("depmod").arg("-b").arg(&tree).arg(&version))?;
    let compressed = [
        tree.join(format!("boot/vmlinuz-{version}")),
        modules.join("vmlinuz"),
    ];
    let compressed = compressed
        .iter()
        .find(|file| file.is_file())
        .context("the package has no kernel")?;
    let vmlinux = partial.join("vmlinux");
    match arch {
        Arch::X86_64 => vmlinux::extract(compressed, &vmlinux)?,
        // There it is what QEMU takes: Documentation/arch/arm64/booting.rst.
        Arch::Aarch64 => {
            std::fs::copy(compressed, &vmlinux)?;
        }
    }
    collect_modules(&modules, &partial.join("modules"))?;
    std::fs::rename(&partial, folder)?;
    Ok(())
}

/// Downloads the kernel's packages into `folder`.
fn download(arch: Arch, series: &Series, folder: &Path) -> Result<()> {
    let release = series.release;
    let apt = OtherRelease::new(release, arch.debian(), &apt_folder(arch, release))?;
    let update = apt.update();
    if let Err(why) = &update
        && is_release_gone(&why.to_string())
    {
        return Err(Absent(format!("Debian has no release {release} any more")).into());
    }
    update?;
    let packages = kernel_packages(&apt, arch, series)?;
    if packages.is_empty() {
        let (name, debian) = (series.name, arch.debian());
        let why = format!("Debian {release} has no package of a cloud kernel {name} for {debian}");
        return Err(Absent(why).into());
    }
    for package in packages {
        apt.download(&package, folder)?;
    }
    Ok(())
}

/// Whether apt was told by the server that there is no such release.
fn is_release_gone(said: &str) -> bool {
    said.contains("does not have a Release file") || said.contains("no longer has a Release file")
}

/// The packages with the kernel and its modules: since 7.2 they are two, behind another meta package.
fn kernel_packages(apt: &OtherRelease, arch: Arch, series: &Series) -> Result<Vec<String>> {
    let flavour = format!("{PACKAGE_FLAVOUR}{}", arch.debian());
    let mut found = Vec::new();
    let mut open = Vec::new();
    match series.package {
        // Its `Depends` names the release's current kernel; the names themselves disappear after a while.
        Package::Current => {
            let meta = format!("{PACKAGE_BEGINS}{flavour}");
            let names = apt.names(&meta)?.into_iter();
            open.extend(names.filter(|name| *name == meta));
        }
        Package::Kept => {
            let begins = format!("{PACKAGE_BEGINS}{}.", series.name);
            let names = apt.names(&begins)?;
            found.extend(newest(&names, &begins, &flavour).map(str::to_owned));
            open.clone_from(&found);
        }
    }
    while let Some(package) = open.pop() {
        let is_kernel = |name: &String| {
            ["linux-image-", "linux-binary-", "linux-modules-"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        for name in apt.needs(&package)?.into_iter().filter(is_kernel) {
            if !found.contains(&name) {
                open.push(name.clone());
                found.push(name);
            }
        }
    }
    Ok(found)
}

/// Of packages whose names begin so and have a version behind it, `9` or `15+deb13`, the newest kernel of a flavour.
fn newest<'a>(names: &'a [String], begins: &str, flavour: &str) -> Option<&'a str> {
    let patch = |name: &str| -> Option<u32> {
        let version = name.strip_prefix(begins)?.strip_suffix(flavour)?;
        version.split(['+', '-']).next()?.parse().ok()
    };
    let kernels = names.iter().filter(|name| patch(name).is_some());
    kernels.max_by_key(|name| patch(name)).map(String::as_str)
}

fn only_entry(folder: &Path) -> Result<String> {
    let mut entries = std::fs::read_dir(folder)
        .with_context(|| format!("the kernel package has no {}", folder.display()))?;
    let entry = entries
        .next()
        .context("the kernel package has no modules")??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// Copies the modules that the guest needs first, plain and numbered in loading order.
fn collect_modules(modules: &Path, target: &Path) -> Result<()> {
    std::fs::create_dir_all(target)?;
    let dependencies = std::fs::read_to_string(modules.join("modules.dep"))?;
    // Debian's packages from 7.2 on do not have this list; what is no module there is taken as built in.
    let built_in = std::fs::read_to_string(modules.join("modules.builtin")).ok();
    for (number, file) in loading_order(&MODULES, &dependencies, built_in.as_deref())?
        .iter()
        .enumerate()
    {
        let name = module_name(file);
        let plain = target.join(format!("{number:02}-{name}.ko"));
        if file.ends_with(".xz") {
            let unpacked = std::fs::File::create(&plain)?;
            output(
                Command::new("xz")
                    .arg("-dc")
                    .arg(modules.join(file))
                    .stdout(unpacked),
            )?;
        } else {
            std::fs::copy(modules.join(file), &plain)?;
        }
    }
    Ok(())
}

/// The files to load, each after those that it needs. A line of `modules.dep` is
/// `file: needed needed ...`, where the last one needed has to come first.
fn loading_order<'a>(
    wanted: &[&str],
    dependencies: &'a str,
    built_in: Option<&str>,
) -> Result<Vec<&'a str>> {
    let mut order = Vec::new();
    for name in wanted {
        let line = dependencies.lines().filter_map(|line| line.split_once(':'));
        let Some((file, needed)) = line
            .into_iter()
            .find(|(file, _)| module_name(file) == *name)
        else {
            if built_in.is_none_or(|list| list.lines().any(|file| module_name(file) == *name)) {
                continue;
            }
            bail!("this kernel has no module {name}");
        };
        for file in needed.split_whitespace().rev().chain([file]) {
            if !order.contains(&file) {
                order.push(file);
            }
        }
    }
    Ok(order)
}

/// `kernel/fs/fuse/virtiofs.ko.xz` -> `virtiofs`; dash and underscore are the same in such names.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_after_what_they_need() {
        let dependencies =
            "kernel/fs/fuse/fuse.ko:\nkernel/net/virtio-net.ko: kernel/a.ko kernel/b.ko\n";
        let order = loading_order(
            &["virtio_net", "fuse", "overlay"],
            dependencies,
            Some("kernel/overlay.ko\n"),
        )
        .unwrap();
        assert_eq!(
            order,
            [
                "kernel/b.ko",
                "kernel/a.ko",
                "kernel/net/virtio-net.ko",
                "kernel/fs/fuse/fuse.ko"
            ]
        );
    }

    #[test]
    fn a_module_that_is_nowhere_is_named() {
        assert!(
            loading_order(&["fuse"], "", Some(""))
                .unwrap_err()
                .to_string()
                .contains("fuse")
        );
    }

    #[test]
    fn the_newest_kernel_of_a_series_is_the_one_with_the_highest_number() {
        let names = [
            "linux-image-6.18.9+deb13-cloud-amd64",
            "linux-image-6.18.15+deb13-cloud-amd64",
            "linux-image-6.18.15+deb13-cloud-amd64-dbg",
            "linux-image-6.18.16+deb13-rt-amd64",
            "linux-image-6.19.2+deb13-cloud-amd64",
        ]
        .map(str::to_owned);
        let newest =
            |series: &str| newest(&names, &format!("linux-image-{series}."), "cloud-amd64");
        assert_eq!(
            newest("6.18"),
            Some("linux-image-6.18.15+deb13-cloud-amd64")
        );
        assert_eq!(newest("6.1"), None);
    }

    #[test]
    fn an_unknown_kernel_is_answered_with_the_known_ones() {
        let why = Kernel::prepare(Arch::X86_64, "2.4")
            .err()
            .map(|why| why.to_string())
            .unwrap_or_default();
        assert!(why.contains("6.1"), "{why}");
    }
}
