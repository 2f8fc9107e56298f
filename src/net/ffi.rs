//! The system calls that neither nix nor socket2 offer in the form needed: sendmmsg(2) and recvmmsg(2) over
//! buffers that are kept, integer socket options without a wrapper, packet sockets on one interface, the registration
//! of a descriptor with tokio; what the guardian and real-time scheduling need: fork, shared memory, scheduling,
//! locked memory; and what a program does between fork and exec. Nothing else in tandemd is unsafe.

use super::control_message::Control;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::unistd::{ForkResult, Pid};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::AtomicU64;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Messages handed to the kernel in one call; more are taken in several calls.
pub(super) const BATCH: usize = 64;

/// Where a message goes.
pub(super) enum Destination {
    /// IPv4 (ip(7)).
    V4(libc::sockaddr_in),
    /// IPv6 (ipv6(7)).
    V6(libc::sockaddr_in6),
    /// A frame on an interface (packet(7)).
    Link(libc::sockaddr_ll),
}

impl Destination {
    fn pointer(&self) -> (*const libc::c_void, usize) {
        match self {
            Destination::V4(a) => (ptr::from_ref(a).cast(), size_of_val(a)),
            Destination::V6(a) => (ptr::from_ref(a).cast(), size_of_val(a)),
            Destination::Link(a) => (ptr::from_ref(a).cast(), size_of_val(a)),
        }
    }
}

/// One message to send.
pub(super) struct Message<'a> {
    pub(super) destination: Destination,
    pub(super) control: Control,
    pub(super) payload: &'a [u8],
}

/// Sends the first [`BATCH`] of `messages` with one sendmmsg(2), never blocking: how many the kernel took, at
/// least one. An error is the first message's.
pub(super) fn send_some(fd: BorrowedFd<'_>, messages: &[Message<'_>]) -> Result<usize, Errno> {
    let empty = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
    let mut vectors = [empty; BATCH];
    // SAFETY: mmsghdr is plain data (integers and pointers); all-zero is its empty value.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let mut count: libc::c_uint = 0;
    for ((message, vector), header) in messages.iter().zip(&mut vectors).zip(&mut headers) {
        vector.iov_base = message.payload.as_ptr().cast_mut().cast();
        vector.iov_len = message.payload.len();
        let (name, name_len) = message.destination.pointer();
        let control = message.control.bytes();
        let h = &mut header.msg_hdr;
        h.msg_name = name.cast_mut();
        h.msg_namelen = name_len as libc::socklen_t;
        h.msg_iov = vector;
        h.msg_iovlen = 1;
        if !control.is_empty() {
            h.msg_control = control.as_ptr().cast_mut().cast();
            h.msg_controllen = control.len() as _;
        }
        count += 1;
    }
    // SAFETY: the first `count` headers point to names, vectors, control and payload bytes that live in
    // `messages` and `vectors` until after the call, with their true lengths; the kernel only reads them
    // (it writes msg_len, in `headers`). `fd` is open for the whole call.
    let sent =
        unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
    Errno::result(sent).map(|n| usize::try_from(n).unwrap_or(0))
}

/// What the kernel said of one received message.
#[derive(Clone, Copy, Default)]
struct Received {
    len: usize,
    name_len: usize,
    control_len: usize,
    flags: i32,
}

const NAME: usize = 32;
const CONTROL: usize = 128;

/// Buffers for received messages, filled again and again.
pub(super) struct Slots {
    size: usize,
    data: Box<[u8]>,
    names: Box<[u8]>,
    controls: Box<[u8]>,
    received: Vec<Received>,
    count: usize,
}

/// A received message in its slot.
pub(super) struct Slot<'a> {
    /// The bytes.
    pub(super) data: &'a [u8],
    /// The sender's `sockaddr`.
    pub(super) name: &'a [u8],
    /// Ancillary data.
    pub(super) control: &'a [u8],
    /// The message was longer than the slot (MSG_TRUNC).
    pub(super) truncated: bool,
}

impl Slots {
    /// `count` slots (at most [`BATCH`]) of `size` bytes.
    pub(super) fn new(count: usize, size: usize) -> Self {
        let count = count.clamp(1, BATCH);
        Slots {
            size,
            data: vec![0; count * size].into(),
            names: vec![0; count * NAME].into(),
            controls: vec![0; count * CONTROL].into(),
            received: Vec::with_capacity(count),
            count,
        }
    }

    /// Number of slots.
    pub(super) fn capacity(&self) -> usize {
        self.count
    }

    /// Forgets what was received.
    pub(super) fn clear(&mut self) {
        self.received.clear();
    }

    /// What the last [`receive_some`] filled.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot<'_>> {
        let chunks =
            self.data.chunks(self.size).zip(self.names.chunks(NAME)).zip(self.controls.chunks(CONTROL));
        self.received.iter().zip(chunks).map(|(r, ((data, name), control))| Slot {
            data: data.get(..r.len).unwrap_or(data),
            name: name.get(..r.name_len).unwrap_or(name),
            control: control.get(..r.control_len).unwrap_or(control),
            truncated: r.flags & libc::MSG_TRUNC != 0,
        })
    }
}

/// Fills up to `limit` slots with one recvmmsg(2), never blocking: how many. Nothing to read is EAGAIN.
pub(super) fn receive_some(fd: BorrowedFd<'_>, slots: &mut Slots, limit: usize) -> Result<usize, Errno> {
    slots.received.clear();
    let empty = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
    let mut vectors = [empty; BATCH];
    // SAFETY: as in send_some.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let mut count: libc::c_uint = 0;
    let chunks = slots
        .data
        .chunks_mut(slots.size)
        .zip(slots.names.chunks_mut(NAME))
        .zip(slots.controls.chunks_mut(CONTROL))
        .take(limit);
    for (((data, name), control), (vector, header)) in chunks.zip(vectors.iter_mut().zip(&mut headers)) {
        vector.iov_base = data.as_mut_ptr().cast();
        vector.iov_len = data.len();
        let h = &mut header.msg_hdr;
        h.msg_name = name.as_mut_ptr().cast();
        h.msg_namelen = NAME as libc::socklen_t;
        h.msg_iov = vector;
        h.msg_iovlen = 1;
        h.msg_control = control.as_mut_ptr().cast();
        h.msg_controllen = CONTROL as _;
        count += 1;
    }
    // SAFETY: the first `count` headers point to disjoint parts of `slots` and `vectors`, exclusively borrowed
    // here, with their true lengths; bytes of any value are valid there. No timeout is given.
    let filled = unsafe {
        libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _, ptr::null_mut())
    };
    let filled = usize::try_from(Errno::result(filled)?).unwrap_or(0);
    #[allow(clippy::unnecessary_cast, reason = "the field is a socklen_t in other C libraries")]
    slots.received.extend(headers.iter().take(filled).map(|h| Received {
        len: h.msg_len as usize,
        name_len: h.msg_hdr.msg_namelen as usize,
        control_len: h.msg_hdr.msg_controllen as usize,
        flags: h.msg_hdr.msg_flags,
    }));
    Ok(filled)
}

/// setsockopt(2) with an integer.
pub(super) fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: the pointer is to a live integer and the length is its size.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    Errno::result(done).map(drop)
}

/// Binds a packet socket to an interface and a protocol (packet(7)); from then on it receives.
pub(super) fn bind_link(fd: BorrowedFd<'_>, ifindex: u32, protocol: u16) -> Result<(), Errno> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: positive(ifindex)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the pointer is to a live sockaddr_ll and the length is its size; the kernel only reads it.
    let done = unsafe {
        libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), size_of_val(&address) as libc::socklen_t)
    };
    Errno::result(done).map(drop)
}

/// Makes an interface take in every multicast frame as long as the packet socket is open (PACKET_MR_ALLMULTI).
pub(super) fn all_multicast(fd: BorrowedFd<'_>, ifindex: u32) -> Result<(), Errno> {
    let request = libc::packet_mreq {
        mr_ifindex: positive(ifindex)?,
        mr_type: libc::PACKET_MR_ALLMULTI as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: the pointer is to a live packet_mreq and the length is its size; the kernel only reads it.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            ptr::from_ref(&request).cast(),
            size_of_val(&request) as libc::socklen_t,
        )
    };
    Errno::result(done).map(drop)
}

/// The Ethernet address of an interface (netdevice(7), SIOCGIFHWADDR); none if it is not Ethernet. Takes no lock that a change
/// of addresses waits for, as a question over netlink does.
pub(super) fn hardware_address(fd: BorrowedFd<'_>, ifname: &str) -> Result<Option<[u8; 6]>, Errno> {
    // SAFETY: ifreq is plain data (characters and a union of integers); all-zero is its empty value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    if ifname.len() >= request.ifr_name.len() {
        return Err(Errno::ENODEV);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(ifname.bytes()) {
        *to = from as libc::c_char;
    }
    let what = libc::SIOCGIFHWADDR as libc::Ioctl;
    // SAFETY: the pointer is to a live ifreq, which the kernel reads and writes, and nothing else of it.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), what, ptr::from_mut(&mut request)) })?;
    // SAFETY: this is the part of the union that SIOCGIFHWADDR fills; bytes of any value are valid in every part.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let [a, b, c, d, e, f, ..] = address.sa_data.map(|b| b as u8);
    Ok((address.sa_family == libc::ARPHRD_ETHER).then_some([a, b, c, d, e, f]))
}

/// An interface index; zero would mean all of them.
fn positive(ifindex: u32) -> Result<i32, Errno> {
    i32::try_from(ifindex).ok().filter(|i| *i > 0).ok_or(Errno::ENODEV)
}

/// A file descriptor of ours for tokio to wait on.
pub(super) fn async_fd(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the AsyncFd owns the descriptor, so it stays open, and the same, as long as it is registered.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

/// Asks a hardware watchdog for a timeout, in seconds: the one that it took (WDIOC_SETTIMEOUT of the kernel's watchdog-api).
pub(super) fn watchdog_timeout(fd: BorrowedFd<'_>, seconds: i32) -> Result<i32, Errno> {
    const SET_TIMEOUT: libc::Ioctl = libc::_IOWR::<libc::c_int>(b'W' as u32, 6);
    let mut value: libc::c_int = seconds;
    // SAFETY: the request is for a pointer to one integer, which is live and ours; the kernel reads and writes no more.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), SET_TIMEOUT, ptr::from_mut(&mut value)) };
    Errno::result(done).map(|_| value)
}

/// Which process [`fork`] returned to.
pub(crate) enum Fork {
    /// The new one.
    Child,
    /// The old one, with the new one's id.
    Parent(Pid),
}

/// fork(2), from a process with one thread only.
pub(crate) fn fork() -> Result<Fork, Errno> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        // Locks held by other threads would stay locked in the child for ever.
        return Err(Errno::EDEADLK);
    }
    // SAFETY: there is one thread, so no lock is held by another and everything the child may touch is whole.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(Fork::Child),
        ForkResult::Parent { child } => Ok(Fork::Parent(child)),
    }
}

/// Memory that processes forked later share with this one, for the rest of their lives; all zero.
pub(crate) fn shared_words<const N: usize>() -> Result<&'static [AtomicU64; N], Errno> {
    let size = NonZeroUsize::new(size_of::<[AtomicU64; N]>()).ok_or(Errno::EINVAL)?;
    let (access, kind) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
    // SAFETY: a new mapping that replaces none, page-aligned, zeroed and never unmapped; an AtomicU64 may have any
    // value and may be changed by others at any time.
    unsafe { Ok(mmap_anonymous(None, size, access, kind)?.cast().as_ref()) }
}

/// SCHED_RR with this priority for the calling thread, or with 0 the ordinary SCHED_OTHER (sched(7)); what it forks
/// starts as usual again.
pub(crate) fn schedule_realtime(priority: u8) -> Result<(), Errno> {
    let policy = if priority == 0 { libc::SCHED_OTHER } else { libc::SCHED_RR };
    let parameters = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: the pointer is to a live structure that the kernel only reads; 0 is the calling thread.
    let set = unsafe {
        libc::sched_setscheduler(0, policy | libc::SCHED_RESET_ON_FORK, ptr::from_ref(&parameters))
    };
    Errno::result(set).map(drop)
}

/// nice(2) for the calling thread: -20 (first) to 19.
pub(crate) fn schedule_nice(nice: i32) -> Result<(), Errno> {
    // SAFETY: numbers only; 0 is the calling thread.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Takes from a program that is started what only the daemon may have: real-time priority, locked memory, and with
/// `oom` its protection from the kernel's memory killer.
pub(crate) fn plain_limits(command: &mut tokio::process::Command, locked: u64, oom: bool) {
    let plain = move || {
        let set = |resource, value| {
            let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
            // SAFETY: the pointer is to a live structure that the kernel only reads.
            Errno::result(unsafe { libc::setrlimit(resource, ptr::from_ref(&limit)) })
        };
        set(libc::RLIMIT_RTPRIO, 0)?;
        set(libc::RLIMIT_MEMLOCK, locked)?;
        if oom {
            let path = c"/proc/self/oom_score_adj";
            // SAFETY: the path is a C string and the buffer a live one of the given length; the descriptor is ours and
            // closed once. What fails here leaves the protection in place, which harms nobody.
            unsafe {
                let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                if fd >= 0 {
                    libc::write(fd, c"0".as_ptr().cast(), 1);
                    libc::close(fd);
                }
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls only: no allocation, no lock, no other thread's data.
    unsafe { command.pre_exec(plain) };
}

/// Has a program that is started begin in another cgroup: `procs` is that one's open cgroup.procs (cgroups(7)). The new
/// process moves itself before it becomes the program, so nothing that the program starts can be missed; the kernel
/// asks what whoever opened the file was permitted, so a change of user does not matter.
pub(crate) fn join_cgroup(command: &mut tokio::process::Command, procs: OwnedFd) {
    let join = move || {
        // SAFETY: reads one byte of a constant and writes it to a descriptor that this closure owns.
        Errno::result(unsafe { libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) })?;
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call: no allocation, no lock, no other thread's data.
    unsafe { command.pre_exec(join) };
}

/// Keeps every page of this process in memory from its first use on (mlockall(2)).
pub(crate) fn lock_memory() -> Result<(), Errno> {
    // SAFETY: changes no memory, only whether it may be swapped out.
    Errno::result(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })
        .map(drop)
}
