//! The only unsafe code: sendmmsg(2) and recvmmsg(2) with control messages and link-layer addresses, which no
//! safe wrapper offers for a batch, and the registration of a file descriptor with tokio.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Messages in one system call.
pub(super) const BATCH: usize = 64;
/// Room for the control messages of one datagram.
const CONTROL: usize = 128;

/// Where a datagram goes, and where it says it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// A raw frame on an interface.
    Link { ifindex: u32 },
    /// A packet over IP: destination, source, interface.
    Ip { destination: IpAddr, source: IpAddr, ifindex: u32 },
}

/// Sends up to [`BATCH`] datagrams in one call; how many went out. An error belongs to the first one.
pub(super) fn send_batch(fd: BorrowedFd<'_>, items: &[(Target, &[u8])]) -> io::Result<usize> {
    let n = items.len().min(BATCH);
    let mut names: Vec<libc::sockaddr_storage> = Vec::with_capacity(n);
    let mut controls: Vec<[u64; CONTROL / 8]> = vec![[0; CONTROL / 8]; n];
    let mut iovs: Vec<libc::iovec> = Vec::with_capacity(n);
    let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(n);
    for (target, payload) in items.iter().take(n) {
        names.push(socket_address(target));
        iovs.push(libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() });
    }
    for (((target, _), control), (name, iov)) in
        items.iter().take(n).zip(&mut controls).zip(names.iter_mut().zip(iovs.iter_mut()))
    {
        // SAFETY: all zero is a valid mmsghdr: null pointers with zero lengths.
        let mut h: libc::mmsghdr = unsafe { zeroed() };
        h.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
        h.msg_hdr.msg_namelen = address_len(target);
        h.msg_hdr.msg_iov = iov;
        h.msg_hdr.msg_iovlen = 1;
        put_source(target, control, &mut h.msg_hdr);
        headers.push(h);
    }
    // SAFETY: `headers` holds `n` headers whose pointers lead to `names`, `controls`, `iovs` and the payloads, all
    // alive and of the given lengths until the call returns; the kernel does not write to payloads it sends.
    let sent = unsafe {
        libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), n as libc::c_uint, libc::MSG_DONTWAIT)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn address_len(target: &Target) -> libc::socklen_t {
    let len = match target {
        Target::Link { .. } => size_of::<libc::sockaddr_ll>(),
        Target::Ip { destination: IpAddr::V4(_), .. } => size_of::<libc::sockaddr_in>(),
        Target::Ip { destination: IpAddr::V6(_), .. } => size_of::<libc::sockaddr_in6>(),
    };
    len as libc::socklen_t
}

fn socket_address(target: &Target) -> libc::sockaddr_storage {
    // SAFETY: all zero is a valid sockaddr_storage (AF_UNSPEC).
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let at: *mut libc::sockaddr_storage = &mut storage;
    match target {
        Target::Link { ifindex } => {
            // SAFETY: sockaddr_storage is large enough and aligned for every socket address.
            let a = unsafe { &mut *at.cast::<libc::sockaddr_ll>() };
            a.sll_family = libc::AF_PACKET as libc::sa_family_t;
            a.sll_ifindex = i32::try_from(*ifindex).unwrap_or(0);
        }
        Target::Ip { destination: IpAddr::V4(d), .. } => {
            // SAFETY: as above.
            let a = unsafe { &mut *at.cast::<libc::sockaddr_in>() };
            a.sin_family = libc::AF_INET as libc::sa_family_t;
            a.sin_addr.s_addr = u32::from_ne_bytes(d.octets());
        }
        Target::Ip { destination: IpAddr::V6(d), ifindex, .. } => {
            // SAFETY: as above.
            let a = unsafe { &mut *at.cast::<libc::sockaddr_in6>() };
            a.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            a.sin6_addr.s6_addr = d.octets();
            a.sin6_scope_id = if d.is_multicast() || d.is_unicast_link_local() { *ifindex } else { 0 };
        }
    }
    storage
}

/// IP_PKTINFO (ip(7)) or IPV6_PKTINFO (ipv6(7)): the source address of one datagram.
fn put_source(target: &Target, control: &mut [u64; CONTROL / 8], h: &mut libc::msghdr) {
    let (level, kind) = match target {
        Target::Link { .. } => return,
        Target::Ip { source: IpAddr::V4(_), .. } => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        Target::Ip { source: IpAddr::V6(_), .. } => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO),
    };
    let Target::Ip { source, ifindex, .. } = target else { return };
    h.msg_control = control.as_mut_ptr().cast();
    h.msg_controllen = CONTROL as _;
    // SAFETY: msg_control and msg_controllen describe `control`, which has room for one header and either
    // structure (u64 keeps it aligned), so CMSG_FIRSTHDR and CMSG_DATA stay inside it.
    unsafe {
        let c = libc::CMSG_FIRSTHDR(h);
        (*c).cmsg_level = level;
        (*c).cmsg_type = kind;
        let size = match source {
            IpAddr::V4(a) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(a.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                libc::CMSG_DATA(c).cast::<libc::in_pktinfo>().write_unaligned(info);
                size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(a) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: a.octets() },
                    ipi6_ifindex: *ifindex,
                };
                libc::CMSG_DATA(c).cast::<libc::in6_pktinfo>().write_unaligned(info);
                size_of::<libc::in6_pktinfo>()
            }
        };
        (*c).cmsg_len = libc::CMSG_LEN(size as libc::c_uint) as _;
        h.msg_controllen = libc::CMSG_SPACE(size as libc::c_uint) as _;
    }
}

/// What came with a received datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    /// Bytes in the buffer.
    pub(super) len: usize,
    /// The datagram was longer than the buffer.
    pub(super) truncated: bool,
    /// Source of an IPv6 datagram.
    pub(super) source: Option<IpAddr>,
    /// Destination of an IPv6 datagram (IPV6_PKTINFO).
    pub(super) destination: Option<Ipv6Addr>,
    /// Hop limit of an IPv6 datagram (IPV6_HOPLIMIT).
    pub(super) hop_limit: Option<u8>,
}

/// Receives up to [`BATCH`] datagrams without waiting into buffers of `size` bytes each; what came with each.
pub(super) fn receive_batch(
    fd: BorrowedFd<'_>,
    buffers: &mut [u8],
    size: usize,
    limit: usize,
    received: &mut Vec<Received>,
) -> io::Result<usize> {
    received.clear();
    let n = buffers.len().checked_div(size).unwrap_or(0).min(BATCH).min(limit);
    let mut names: Vec<MaybeUninit<libc::sockaddr_storage>> = vec![MaybeUninit::zeroed(); n];
    let mut controls: Vec<[u64; CONTROL / 8]> = vec![[0; CONTROL / 8]; n];
    let mut iovs: Vec<libc::iovec> = buffers
        .chunks_exact_mut(size.max(1))
        .take(n)
        .map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.len() })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(n);
    for ((name, control), iov) in names.iter_mut().zip(&mut controls).zip(&mut iovs) {
        // SAFETY: all zero is a valid mmsghdr.
        let mut h: libc::mmsghdr = unsafe { zeroed() };
        h.msg_hdr.msg_name = name.as_mut_ptr().cast();
        h.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        h.msg_hdr.msg_iov = iov;
        h.msg_hdr.msg_iovlen = 1;
        h.msg_hdr.msg_control = control.as_mut_ptr().cast();
        h.msg_hdr.msg_controllen = CONTROL as _;
        headers.push(h);
    }
    // SAFETY: every pointer in `headers` leads to a buffer of the given length that lives until the call
    // returns and is not otherwise borrowed.
    let got = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            headers.len() as libc::c_uint,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    for (h, name) in headers.iter().zip(&names).take(got) {
        received.push(describe(h, name));
    }
    Ok(got)
}

fn describe(h: &libc::mmsghdr, name: &MaybeUninit<libc::sockaddr_storage>) -> Received {
    let mut r = Received {
        len: usize::try_from(h.msg_len).unwrap_or(0),
        truncated: h.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        ..Received::default()
    };
    // SAFETY: `name` was zeroed, which is a valid sockaddr_storage, and then perhaps written by the kernel.
    let storage = unsafe { name.assume_init_ref() };
    if i32::from(storage.ss_family) == libc::AF_INET6 {
        // SAFETY: the family says which structure the kernel wrote; storage is large and aligned enough.
        let a = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
        r.source = Some(IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr)));
    } else if i32::from(storage.ss_family) == libc::AF_INET {
        // SAFETY: as above.
        let a = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
        r.source = Some(IpAddr::V4(Ipv4Addr::from(a.sin_addr.s_addr.to_ne_bytes())));
    }
    // SAFETY: the kernel filled msg_control up to msg_controllen with well-formed control messages, and the
    // CMSG_ macros stay within that length; data is read unaligned and only where cmsg_len covers it.
    unsafe {
        let mut c = libc::CMSG_FIRSTHDR(&h.msg_hdr);
        while !c.is_null() {
            let data_len = ((*c).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            if (*c).cmsg_level == libc::IPPROTO_IPV6 {
                if (*c).cmsg_type == libc::IPV6_HOPLIMIT && data_len >= size_of::<libc::c_int>() {
                    let hops = libc::CMSG_DATA(c).cast::<libc::c_int>().read_unaligned();
                    r.hop_limit = u8::try_from(hops).ok();
                } else if (*c).cmsg_type == libc::IPV6_PKTINFO && data_len >= size_of::<libc::in6_pktinfo>() {
                    let info = libc::CMSG_DATA(c).cast::<libc::in6_pktinfo>().read_unaligned();
                    r.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                }
            }
            c = libc::CMSG_NXTHDR(&h.msg_hdr, c);
        }
    }
    r
}

/// A file descriptor of ours for tokio to wait on.
pub(super) fn async_fd(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the AsyncFd, so it stays open, and the same, as long as it is registered.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

/// Sets an integer socket option that socket2 and nix do not know.
pub(super) fn set_int_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the pointer leads to `value`, whose size is given, for the length of the call.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
