//! Listening sockets and connections of every kind.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::options::{bounded, set};
use super::{Socket, checked};

/// Connections that wait to be accepted, or whose first bytes came with their first packet.
const QUEUE: i32 = 16;

/// What is between the two ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    TcpOverIpv6,
    /// The client's first bytes go with its first packet (RFC 7413).
    FastOpen,
    Multipath,
    /// The server would speak MPTCP, the client does not.
    MultipathServer,
}

/// A socket without a connection.
fn open(protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: a call without pointers.
    let fd = unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
            protocol,
        )
    };
    checked(fd as isize)?;
    // SAFETY: a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn listen_to(socket: OwnedFd) -> io::Result<TcpListener> {
    let (fd, address) = (socket.as_raw_fd(), loopback(0));
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel reads an address as long as said.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
    checked(bound as isize)?;
    // SAFETY: a call without pointers.
    checked(unsafe { libc::listen(fd, QUEUE) } as isize)?;
    Ok(TcpListener::from(socket))
}

fn connect_from(socket: OwnedFd, port: u16) -> io::Result<TcpStream> {
    let address = loopback(port);
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel reads an address as long as said.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) };
    checked(result as isize)?;
    Ok(TcpStream::from(socket))
}

pub(crate) fn listen(kind: Kind) -> io::Result<TcpListener> {
    match kind {
        Kind::Tcp => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)),
        Kind::TcpOverIpv6 => TcpListener::bind((Ipv6Addr::LOCALHOST, 0)),
        Kind::FastOpen => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            set(&listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, &QUEUE)?;
            Ok(listener)
        }
        Kind::Multipath | Kind::MultipathServer => listen_to(open(libc::IPPROTO_MPTCP)?),
    }
}

pub(crate) fn accept(listener: &TcpListener) -> io::Result<Socket> {
    let (stream, _) = listener.accept()?;
    ready(stream)
}

pub(crate) fn connect(kind: Kind, port: u16) -> io::Result<Socket> {
    ready(match kind {
        Kind::Tcp | Kind::MultipathServer => TcpStream::connect((Ipv4Addr::LOCALHOST, port))?,
        Kind::TcpOverIpv6 => TcpStream::connect((Ipv6Addr::LOCALHOST, port))?,
        Kind::FastOpen => {
            let socket = open(libc::IPPROTO_TCP)?;
            set(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, &1)?;
            connect_from(socket, port)?
        }
        Kind::Multipath => connect_from(open(libc::IPPROTO_MPTCP)?, port)?,
    })
}

fn ready(stream: TcpStream) -> io::Result<Socket> {
    stream.set_nodelay(true)?;
    let socket = Socket::from(OwnedFd::from(stream));
    bounded(&socket)?;
    Ok(socket)
}
