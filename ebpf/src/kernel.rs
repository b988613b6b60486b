//! The running kernel's structs: typed pointers, and fields whose offsets the loader fills in.

use aya_ebpf::{
    EbpfContext, Global,
    helpers::{bpf_probe_read_kernel, generated},
};
use core::marker::PhantomData;
#[cfg(feature = "fallback")]
use core::mem::MaybeUninit;
use sockmeter_abi::field::ABSENT;

/// The context of a program at a tracepoint: with typed arguments or, in the fallback object, without.
#[cfg(not(feature = "fallback"))]
pub type TracepointContext = aya_ebpf::programs::BtfTracePointContext;
/// The context of a program at a tracepoint: with typed arguments or, in the fallback object, without.
#[cfg(feature = "fallback")]
pub type TracepointContext = aya_ebpf::programs::RawTracePointContext;

/// A pointer whose target type the verifier knows from BTF (arguments of fentry, fexit and tp_btf).
/// Loads through it are checked when the program is loaded and cannot fault.
pub struct Typed<S>(pub *const S);

impl<S> Clone for Typed<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Typed<S> {}

/// `struct sock`.
pub enum Sock {}
/// `struct socket`.
pub enum Socket {}
/// `struct tcp_sock`.
pub enum TcpSock {}
/// `struct unix_sock`, which begins with a `struct sock`.
pub enum UnixSock {}
/// `struct unix_address`: the name of a Unix socket, and how long it is.
pub enum UnixAddress {}
/// `struct udp_sock`.
pub enum UdpSock {}
/// `struct sk_buff`.
pub enum Packet {}
/// `struct skb_shared_info`, which lies at a packet's end.
pub enum PacketShared {}
/// `struct inet_bind_bucket`: what the kernel keeps of a local port that is in use.
pub enum BindBucket {}
/// `struct net`: a network namespace.
pub enum Net {}
/// `struct file`.
pub enum File {}
/// `struct inode`.
pub enum Inode {}
/// `struct files_struct`: what a process has open.
pub enum Files {}
/// `struct fdtable`: its files by descriptor.
pub enum FileTable {}
/// `struct msghdr`.
pub enum Message {}
/// `struct task_struct`.
pub enum Task {}
/// `struct signal_struct`.
pub enum Signal {}
/// `struct linux_binprm`.
pub enum Program {}

/// A field of type `T` in the kernel's struct `S`. The loader sets the offset before the kernel
/// verifies the programs and freezes it, so the verifier sees a constant and prunes what is absent.
#[repr(transparent)]
pub struct Field<S, T> {
    offset: Global<u32>,
    types: PhantomData<fn(S) -> T>,
}

impl<S, T: Copy> Field<S, T> {
    const fn new() -> Self {
        Self {
            offset: Global::new(ABSENT),
            types: PhantomData,
        }
    }

    #[inline(always)]
    fn address(&self, base: *const S) -> *const T {
        base.cast::<u8>()
            .wrapping_add(self.offset.load() as usize)
            .cast()
    }

    /// Does the running kernel have it?
    #[inline(always)]
    pub fn present(&self) -> bool {
        self.offset.load() != ABSENT
    }

    /// A plain load; in the fallback object, of whose programs the verifier knows no types, through the helper, which
    /// gives zero where there is nothing to read.
    #[inline(always)]
    pub fn load(&self, base: Typed<S>) -> T {
        load(self.address(base.0))
    }

    /// A load through the helper, for what the verifier knows no type of, or another one.
    #[inline(always)]
    pub fn load_untyped(&self, base: Typed<S>) -> Option<T> {
        if !reads_kernel() {
            return None;
        }
        // SAFETY: the helper checks the address and fails on a bad one.
        unsafe { bpf_probe_read_kernel(self.address(base.0)) }.ok()
    }

    /// The same, of a struct that the verifier knows no type of.
    #[inline(always)]
    pub fn load_at(&self, base: u64) -> Option<T> {
        self.load_untyped(Typed(base as *const S))
    }

    /// Where it is in the struct at `base`.
    #[inline(always)]
    pub fn address_at(&self, base: u64) -> u64 {
        base.wrapping_add(u64::from(self.offset.load()))
    }
}

/// What is at an address in kernel memory; see [`Field::load`].
#[cfg(not(feature = "fallback"))]
#[inline(always)]
fn load<T: Copy>(address: *const T) -> T {
    // SAFETY: the verifier checks the access against the kernel's BTF and makes it fault-proof.
    unsafe { address.read_volatile() }
}

/// What is at an address in kernel memory; see [`Field::load`].
#[cfg(feature = "fallback")]
#[inline(always)]
fn load<T: Copy>(address: *const T) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: the helper checks the address, and writes zeros if it is a bad one; all fields are numbers or pointers, for
    // which zero is a value.
    unsafe {
        generated::bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address.cast(),
        );
        value.assume_init()
    }
}

macro_rules! types {
    ($($name:ident: $owner:ty => $field:ty;)*) => {
        $(#[unsafe(no_mangle)] pub static $name: Field<$owner, $field> = Field::new();)*
    };
}

// Same names as `kernel_fields!` in the abi, which says where each is found; the agent refuses to
// load an object in which a name is missing.
types! {
    SOCK_FAMILY: Sock => u16;
    SOCK_LOCAL_PORT: Sock => u16;
    SOCK_REMOTE_PORT: Sock => u16;
    SOCK_LOCAL_V4: Sock => u32;
    SOCK_REMOTE_V4: Sock => u32;
    SOCK_LOCAL_V6: Sock => u64;
    SOCK_REMOTE_V6: Sock => u64;
    SOCK_SHUTDOWN: Sock => u8;
    SOCK_ERROR: Sock => i32;
    SOCK_FLAGS: Sock => u64;
    SOCK_PROTOCOL: Sock => u16;
    SOCK_TYPE: Sock => u16;
    SOCK_STATE: Sock => u8;
    SOCK_COOKIE: Sock => u64;
    SOCK_NET: Sock => Typed<Net>;
    SOCK_USER_LOCKS: Sock => u8;
    SOCK_QUEUE_LENGTH: Sock => u32;
    SOCK_QUEUE_LIMIT: Sock => u32;
    SOCK_DROPS: Sock => u32;
    NET_INODE: Net => u32;
    SOCKET_SOCK: Socket => Typed<Sock>;
    TCP_CLOCK_NS: TcpSock => u64;
    TCP_NEXT_SEQUENCE: TcpSock => u32;
    TCP_READ_SEQUENCE: TcpSock => u32;
    TCP_WRITE_SEQUENCE: TcpSock => u32;
    TCP_UNACKNOWLEDGED: TcpSock => u32;
    TCP_RECEIVED_BYTES: TcpSock => u64;
    TCP_ACKNOWLEDGED_BYTES: TcpSock => u64;
    TCP_UPPER_LAYER: TcpSock => u64;
    LAST_DATA_TICKS: TcpSock => u32;
    UNIX_ADDRESS: UnixSock => u64;
    UNIX_PEER: UnixSock => u64;
    UNIX_ADDRESS_USERS: UnixAddress => u32;
    UNIX_ADDRESS_LENGTH: UnixAddress => u32;
    UNIX_ADDRESS_NAME: UnixAddress => u8;
    UDP_PENDING: UdpSock => u32;
    UDP_SEGMENT_BYTES: UdpSock => u16;
    PACKET_HEAD: Packet => u64;
    PACKET_END: Packet => u32;
    PACKET_SEGMENT_BYTES: PacketShared => u16;
    MESSAGE_FLAGS: Message => u32;
    MESSAGE_CONTROL: Message => u64;
    MESSAGE_CONTROL_BYTES: Message => u64;
    TCP_BIND_BUCKET: TcpSock => Typed<BindBucket>;
    BUCKET_REUSE: BindBucket => i8;
    MESSAGE_ITER_KIND: Message => u8;
    MESSAGE_ITER_TYPE: Message => u32;
    MESSAGE_ITER_OFFSET: Message => u64;
    MESSAGE_ITER_SEGMENTS: Message => u64;
    MESSAGE_ITER_BUFFER: Message => u64;
    TASK_TGID: Task => u32;
    TASK_PID: Task => u32;
    TASK_LEADER: Task => Typed<Task>;
    TASK_EXECS: Task => u64;
    TASK_PARENT: Task => Typed<Task>;
    TASK_SIGNAL: Task => Typed<Signal>;
    TASK_START_BOOTTIME: Task => u64;
    SIGNAL_LIVE: Signal => u32;
    BPRM_FILENAME: Program => u64;
    TASK_FILES: Task => Typed<Files>;
    FILES_TABLE: Files => Typed<FileTable>;
    FILE_TABLE_LENGTH: FileTable => u32;
    FILE_TABLE_FILES: FileTable => u64;
    FILE_INODE: File => Typed<Inode>;
    FILE_DATA: File => u64;
    INODE_MODE: Inode => u16;
    SOCKET_FILE: Socket => u64;
}

impl<S> Field<S, u64> {
    /// A plain load of a pointer to calculate with, which the verifier does not allow on those it knows the type of.
    /// What is negated it takes for a number.
    #[inline(always)]
    pub fn load_number(&self, base: Typed<S>) -> u64 {
        let mut value = self.load(base);
        // SAFETY: negates a register twice.
        unsafe {
            core::arch::asm!("{0} = -{0}", "{0} = -{0}", inout(reg) value, options(pure, nomem, nostack))
        };
        value
    }
}

impl Field<Sock, u64> {
    /// Both halves of an IPv6 address.
    #[inline(always)]
    pub fn load_pair(&self, base: Typed<Sock>) -> [u64; 2] {
        let first = self.address(base.0);
        // The second half is inside the same 16-byte member.
        [load(first), load(first.wrapping_add(1))]
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub static $name: Global<u32> = Global::new(ABSENT);)*
    };
}

numbers! {
    /// `ITER_UBUF`: one buffer (since 6.0).
    ITER_SINGLE;
    /// `ITER_IOVEC`: a vector of buffers.
    ITER_VECTOR;
    /// Arguments of `udp_recvmsg` and `udpv6_recvmsg`: 6 up to 5.18, 5 up to 6.18, then 4.
    RECEIVE_ARITY;
    /// Arguments of `inet_csk_accept`: 4 up to 6.9, then 2.
    ACCEPT_ARITY;
    /// Arguments of `unix_accept`: 4 up to 6.9, then 3.
    UNIX_ACCEPT_ARITY;
}

/// Whether programs may use the helpers that read kernel memory. Frozen, so that where lockdown forbids them (the kernel
/// refuses a program that can come to one) the verifier sees that nobody comes to them.
#[unsafe(no_mangle)]
pub static READS_KERNEL: Global<u32> = Global::new(1);

/// Whether kernel memory can be read by address.
#[inline(always)]
pub fn reads_kernel() -> bool {
    cfg!(feature = "fallback") || READS_KERNEL.load() != 0
}

/// The socket behind the first of a function's arguments.
#[inline(always)]
pub fn sock_of(socket: *const Socket) -> Typed<Sock> {
    SOCKET_SOCK.load(Typed(socket))
}

/// The socket that a file is, or null.
#[cfg(not(feature = "fallback"))]
#[inline(always)]
pub fn socket_of(file: *const File) -> *const Socket {
    // SAFETY: the verifier knows `file`; the result is null or a typed pointer. (Since 5.11.)
    unsafe { generated::bpf_sock_from_file(file.cast_mut().cast()) }.cast()
}

/// The socket that a file is, or null: a file of that kind, which its socket knows as its own. (One that is a socket's
/// path, opened with O_PATH, has no socket.)
#[cfg(feature = "fallback")]
#[inline(always)]
pub fn socket_of(file: *const File) -> *const Socket {
    const S_IFMT: u16 = 0o170_000;
    const S_IFSOCK: u16 = 0o140_000;
    let none = core::ptr::null();
    if file.is_null() || INODE_MODE.load(FILE_INODE.load(Typed(file))) & S_IFMT != S_IFSOCK {
        return none;
    }
    let socket = FILE_DATA.load(Typed(file)) as *const Socket;
    if SOCKET_FILE.load(Typed(socket)) == file as u64 {
        socket
    } else {
        none
    }
}

/// The current task.
#[inline(always)]
pub fn current() -> Typed<Task> {
    #[cfg(not(feature = "fallback"))]
    // SAFETY: takes no arguments; the verifier knows the result as `struct task_struct`. (Since 5.11.)
    let task = unsafe { generated::bpf_get_current_task_btf() }.cast();
    #[cfg(feature = "fallback")]
    // SAFETY: takes no arguments.
    let task = unsafe { generated::bpf_get_current_task() } as *const Task;
    Typed(task)
}

/// The TCP half of a socket; its pointer is null for any other.
#[cfg(not(feature = "fallback"))]
#[inline(always)]
pub fn tcp(sock: Typed<Sock>) -> Typed<TcpSock> {
    // SAFETY: the verifier knows `sock` as `struct sock`; the result is null or a typed pointer.
    Typed(unsafe { generated::bpf_skc_to_tcp_sock(sock.0.cast_mut().cast()) }.cast())
}

/// The TCP half of a socket; its pointer is null for any other. It begins with the socket (`struct tcp_sock`).
#[cfg(feature = "fallback")]
#[inline(always)]
pub fn tcp(sock: Typed<Sock>) -> Typed<TcpSock> {
    const IPPROTO_TCP: u16 = 6;
    Typed(if SOCK_PROTOCOL.load(sock) == IPPROTO_TCP {
        sock.0.cast()
    } else {
        core::ptr::null()
    })
}

/// The same number, of which LLVM does not know how large it is: it drops a bound that it can prove, and the verifier
/// needs to see it.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: moves a register to itself. (Without an instruction, line numbers would repeat an offset.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// Word `index` of a tracing context: the arguments, then the return value. Written as inline assembly
/// because LLVM merges two such loads into one with a variable offset, which the verifier refuses.
#[inline(always)]
pub fn word(ctx: &impl EbpfContext, index: u32) -> u64 {
    macro_rules! load {
        ($offset:literal) => {{
            let value: u64;
            // SAFETY: a load from the context; the verifier bounds it by the function's signature.
            unsafe {
                core::arch::asm!(
                    concat!("{value} = *(u64 *)({ctx} + ", $offset, ")"),
                    value = out(reg) value, ctx = in(reg) ctx.as_ptr(),
                    options(nostack, pure, readonly)
                )
            };
            value
        }};
    }
    match index {
        2 => load!(16),
        3 => load!(24),
        4 => load!(32),
        5 => load!(40),
        6 => load!(48),
        _ => 0,
    }
}
