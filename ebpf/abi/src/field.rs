//! Kernel fields, functions and losses that the two sides name alike.

/// An offset that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Calls `$use!` with every kernel field that the programs read: the frozen global that holds its
/// offset, its size in bytes, the struct, and the member paths to try in turn (first found wins).
#[macro_export]
macro_rules! kernel_fields {
    ($use:ident) => {
        $use! {
            SOCK_FAMILY: 2, "sock", "__sk_common.skc_family";
            SOCK_LOCAL_PORT: 2, "sock", "__sk_common.skc_num";
            SOCK_REMOTE_PORT: 2, "sock", "__sk_common.skc_dport";
            SOCK_LOCAL_V4: 4, "sock", "__sk_common.skc_rcv_saddr";
            SOCK_REMOTE_V4: 4, "sock", "__sk_common.skc_daddr";
            SOCK_LOCAL_V6: 16, "sock", "__sk_common.skc_v6_rcv_saddr";
            SOCK_REMOTE_V6: 16, "sock", "__sk_common.skc_v6_daddr";
            SOCK_SHUTDOWN: 1, "sock", "sk_shutdown";
            SOCK_ERROR: 4, "sock", "sk_err";
            SOCK_FLAGS: 8, "sock", "__sk_common.skc_flags";
            SOCK_PROTOCOL: 2, "sock", "sk_protocol";
            SOCK_TYPE: 2, "sock", "sk_type";
            SOCK_STATE: 1, "sock", "__sk_common.skc_state";
            SOCK_COOKIE: 8, "sock", "__sk_common.skc_cookie.counter";
            SOCK_NET: 8, "sock", "__sk_common.skc_net.net";
            SOCK_USER_LOCKS: 1, "sock", "sk_userlocks";
            SOCK_QUEUE_LENGTH: 4, "sock", "sk_ack_backlog";
            SOCK_QUEUE_LIMIT: 4, "sock", "sk_max_ack_backlog";
            SOCK_DROPS: 4, "sock", "sk_drops.counter";
            NET_INODE: 4, "net", "ns.inum";
            SOCKET_SOCK: 8, "socket", "sk";
            TCP_CLOCK_NS: 8, "tcp_sock", "tcp_clock_cache";
            TCP_NEXT_SEQUENCE: 4, "tcp_sock", "rcv_nxt";
            TCP_READ_SEQUENCE: 4, "tcp_sock", "copied_seq";
            TCP_WRITE_SEQUENCE: 4, "tcp_sock", "write_seq";
            TCP_UNACKNOWLEDGED: 4, "tcp_sock", "snd_una";
            TCP_RECEIVED_BYTES: 8, "tcp_sock", "bytes_received";
            TCP_ACKNOWLEDGED_BYTES: 8, "tcp_sock", "bytes_acked";
            TCP_UPPER_LAYER: 8, "inet_connection_sock", "icsk_ulp_ops";
            LAST_DATA_TICKS: 4, "inet_connection_sock", "icsk_ack.lrcvtime";
            UNIX_ADDRESS: 8, "unix_sock", "addr";
            UNIX_PEER: 8, "unix_sock", "peer";
            UNIX_ADDRESS_USERS: 4, "unix_address", "refcnt.refs.counter";
            UNIX_ADDRESS_LENGTH: 4, "unix_address", "len";
            UNIX_ADDRESS_NAME: 0, "unix_address", "name";
            UDP_PENDING: 4, "udp_sock", "pending";
            UDP_SEGMENT_BYTES: 2, "udp_sock", "gso_size";
            PACKET_HEAD: 8, "sk_buff", "head";
            PACKET_END: 4, "sk_buff", "end";
            PACKET_SEGMENT_BYTES: 2, "skb_shared_info", "gso_size";
            MESSAGE_FLAGS: 4, "msghdr", "msg_flags";
            MESSAGE_CONTROL: 8, "msghdr", "msg_control";
            MESSAGE_CONTROL_BYTES: 8, "msghdr", "msg_controllen";
            TCP_BIND_BUCKET: 8, "tcp_sock", "inet_conn.icsk_bind_hash";
            BUCKET_REUSE: 1, "inet_bind_bucket", "fastreuse";
            MESSAGE_ITER_KIND: 1, "msghdr", "msg_iter.iter_type";
            MESSAGE_ITER_TYPE: 4, "msghdr", "msg_iter.type";
            MESSAGE_ITER_OFFSET: 8, "msghdr", "msg_iter.iov_offset";
            MESSAGE_ITER_SEGMENTS: 8, "msghdr", "msg_iter.__iov|msg_iter.iov";
            MESSAGE_ITER_BUFFER: 8, "msghdr", "msg_iter.ubuf";
            TASK_TGID: 4, "task_struct", "tgid";
            TASK_PID: 4, "task_struct", "pid";
            TASK_LEADER: 8, "task_struct", "group_leader";
            TASK_EXECS: 8, "task_struct", "self_exec_id";
            TASK_PARENT: 8, "task_struct", "real_parent";
            TASK_SIGNAL: 8, "task_struct", "signal";
            TASK_START_BOOTTIME: 8, "task_struct", "start_boottime|real_start_time";
            SIGNAL_LIVE: 4, "signal_struct", "live.counter";
            BPRM_FILENAME: 8, "linux_binprm", "filename";
            TASK_FILES: 8, "task_struct", "files";
            FILES_TABLE: 8, "files_struct", "fdt";
            FILE_TABLE_LENGTH: 4, "fdtable", "max_fds";
            FILE_TABLE_FILES: 8, "fdtable", "fd";
            FILE_INODE: 8, "file", "f_inode";
            FILE_DATA: 8, "file", "private_data";
            INODE_MODE: 2, "inode", "i_mode";
            SOCKET_FILE: 8, "socket", "file";
        }
    };
}

/// Calls `$use!` with every enumerator that the programs compare with: global, enum, name.
#[macro_export]
macro_rules! kernel_enumerators {
    ($use:ident) => {
        $use! {
            ITER_SINGLE: "iter_type", "ITER_UBUF";
            ITER_VECTOR: "iter_type", "ITER_IOVEC";
        }
    };
}

/// Calls `$use!` with every kernel function whose number of arguments differs between kernels.
#[macro_export]
macro_rules! kernel_arities {
    ($use:ident) => {
        $use! {
            RECEIVE_ARITY: "udp_recvmsg";
            ACCEPT_ARITY: "inet_csk_accept";
            UNIX_ACCEPT_ARITY: "unix_accept";
        }
    };
}

/// Per-CPU loss counters: entry `record::KIND` counts records of that kind that found no room in the
/// ring; the entries that no kind uses are named below. A power of two.
pub const LOSS_COUNTERS: usize = 16;
/// Those of them that are in use: the first ones.
pub const LOSS_COUNTERS_USED: usize = 11;
/// Attempts to follow a connection for which no slot was free: one at its beginning, or one at each call and walk that
/// comes by it.
pub const LOSS_NO_SLOT: usize = 0;
/// Bytes moved on connections without a slot, which those of multipath TCP never have.
pub const LOSS_NO_SLOT_BYTES: usize = 7;
/// Datagrams of processes that found no room in the table of runs.
pub const LOSS_NO_RUN: usize = 9;
/// Bytes of such datagrams.
pub const LOSS_NO_RUN_BYTES: usize = 10;
