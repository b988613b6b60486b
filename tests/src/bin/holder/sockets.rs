//! Sockets as no library makes them: shared ports, chosen local ports, descriptors sent to another process.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sockopt,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

fn socket(address: SocketAddr) -> Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = net::socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

/// Listens; an IPv6 socket takes IPv4 clients too. Several may, each with a queue of its own, if the port is shared.
pub(crate) fn listen(address: SocketAddr, is_shared: bool) -> Result<TcpListener> {
    let socket = socket(address)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    sockopt::set_socket_reuseport(&socket, is_shared)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Connects, from an address of the caller's choice if it has one.
pub(crate) fn connect(address: SocketAddr, local: Option<SocketAddr>) -> Result<TcpStream> {
    let socket = socket(address)?;
    if let Some(local) = local {
        net::bind(&socket, &local)?;
    }
    net::connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Where a process takes descriptors. Datagrams, so that no connection comes into it.
pub(crate) struct Letterbox {
    socket: UnixDatagram,
}

fn path(name: &str) -> Result<PathBuf> {
    let folder = std::env::var("HOLDER_LETTERS").context("HOLDER_LETTERS names no folder")?;
    Ok(Path::new(&folder).join(name))
}

impl Letterbox {
    /// The letterbox of a process of that name.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = path(name)?;
        // An earlier process of that name may have left its own.
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(path)?;
        Ok(Self { socket })
    }

    /// The descriptor that came, or comes, first.
    pub(crate) fn take(&self) -> Result<OwnedFd> {
        let mut letter = [0; 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut letter)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        ensure!(!received.flags.contains(ReturnFlags::CTRUNC), "cut short");
        let rights = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        rights.context("no descriptor came")
    }
}

/// Sends a descriptor to the process of that name.
pub(crate) fn give(descriptor: BorrowedFd<'_>, name: &str) -> Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path(name)?)?;
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    ensure!(
        control.push(SendAncillaryMessage::ScmRights(&descriptors)),
        "no room for a descriptor"
    );
    net::sendmsg(
        socket.as_fd(),
        &[IoSlice::new(b"x")],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}
