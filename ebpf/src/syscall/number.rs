//! Numbers of system calls: part of the kernel's user API, and others on each architecture.

macro_rules! numbers {
    ($($name:ident: $x86_64:literal, $aarch64:literal;)*) => {
        $(
            #[cfg(bpf_target_arch = "x86_64")]
            pub const $name: u64 = $x86_64;
            #[cfg(bpf_target_arch = "aarch64")]
            pub const $name: u64 = $aarch64;
        )*
    };
}

numbers! {
    READ: 0, 63;
    WRITE: 1, 64;
    READV: 19, 65;
    WRITEV: 20, 66;
    SENDFILE: 40, 71;
    ACCEPT: 43, 202;
    SENDTO: 44, 206;
    RECVFROM: 45, 207;
    SENDMSG: 46, 211;
    RECVMSG: 47, 212;
    SPLICE: 275, 76;
    ACCEPT4: 288, 242;
    RECVMMSG: 299, 243;
    SENDMMSG: 307, 269;
    PREADV2: 327, 286;
    PWRITEV2: 328, 287;
}
