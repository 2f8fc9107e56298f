//! The unchanging part of the table: its sets, its chain, its rules (linux/netfilter/nf_tables.h).

use super::{CREATE, DATA_VALUE, LIST_ELEMENT, message};
use crate::net::talk::Builder;

/// The sets' names.
pub(super) const V4: &str = "v4";
pub(super) const V6: &str = "v6";
pub(super) const LINK_LOCAL: &str = "link_local";

const CHAIN: &str = "input";

const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;

/// What the chain hooks into, `NF_INET_LOCAL_IN`, and the priority "filter".
const LOCAL_IN: u32 = 1;
const PRIORITY: u32 = 0;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;

const IPV4: u8 = libc::AF_INET as u8;
const IPV6: u8 = libc::AF_INET6 as u8;
const ICMPV6: u8 = libc::IPPROTO_ICMPV6 as u8;
/// Neighbour solicitation and advertisement (RFC 4861 4.3, 4.4).
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Where a packet's bytes are counted from.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// Keys of the expression "meta".
const META_IIF: u32 = 4;
const META_IIFTYPE: u32 = 8;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
/// Comparisons.
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
/// Registers: a 16-byte one, and the 4-byte ones that lie in a row for a key of several parts.
const WIDE: u32 = 1;
const FIRST: u32 = 8;
const SECOND: u32 = 9;

/// nft(8)'s numbers of types, with which it shows the sets.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_IFINDEX: u32 = 20;

/// Appends all with numbers after `n`; returns the next free one.
pub(super) fn append(b: &mut Builder, n: u32, table: &str) -> u32 {
    let mut next = n;
    let mut number = || {
        next = next.wrapping_add(1);
        next
    };
    set(b, number(), table, V4, 1, TYPE_IPV4, 4);
    set(b, number(), table, V6, 2, TYPE_IPV6, 16);
    set(b, number(), table, LINK_LOCAL, 3, (TYPE_IFINDEX << 6) | TYPE_IPV6, 20);
    chain(b, number(), table);
    rule(b, number(), table, |b| {
        meta(b, META_IIFTYPE, WIDE);
        compare(b, WIDE, EQUAL, &libc::ARPHRD_LOOPBACK.to_ne_bytes());
        verdict(b, ACCEPT);
    });
    rule(b, number(), table, |b| {
        family(b, IPV6);
        meta(b, META_L4PROTO, WIDE);
        compare(b, WIDE, EQUAL, &[ICMPV6]);
        payload(b, TRANSPORT, 0, 1, WIDE);
        compare(b, WIDE, AT_LEAST, &[SOLICITATION]);
        compare(b, WIDE, AT_MOST, &[ADVERTISEMENT]);
        verdict(b, ACCEPT);
    });
    rule(b, number(), table, |b| {
        family(b, IPV4);
        payload(b, NETWORK, 16, 4, WIDE);
        lookup(b, V4, WIDE);
        verdict(b, DROP);
    });
    rule(b, number(), table, |b| {
        family(b, IPV6);
        payload(b, NETWORK, 24, 16, WIDE);
        lookup(b, V6, WIDE);
        verdict(b, DROP);
    });
    rule(b, number(), table, |b| {
        family(b, IPV6);
        meta(b, META_IIF, FIRST);
        payload(b, NETWORK, 24, 16, SECOND);
        lookup(b, LINK_LOCAL, FIRST);
        verdict(b, DROP);
    });
    number()
}

fn set(b: &mut Builder, n: u32, table: &str, name: &str, id: u32, key_type: u32, key_len: u32) {
    message(b, NEW_SET, CREATE, n, |b| {
        b.text(1, table);
        b.text(2, name);
        b.be32(3, 0);
        b.be32(4, key_type);
        b.be32(5, key_len);
        b.be32(10, id);
    });
}

fn chain(b: &mut Builder, n: u32, table: &str) {
    message(b, NEW_CHAIN, CREATE, n, |b| {
        b.text(1, table);
        b.text(3, CHAIN);
        b.nested(4, |b| {
            b.be32(1, LOCAL_IN);
            b.be32(2, PRIORITY);
        });
        b.be32(5, ACCEPT);
        b.text(7, "filter");
    });
}

/// libc's NLM_F_APPEND: the rules count in order.
fn rule(b: &mut Builder, n: u32, table: &str, expressions: impl FnOnce(&mut Builder)) {
    message(b, NEW_RULE, CREATE | libc::NLM_F_APPEND as u16, n, |b| {
        b.text(1, table);
        b.text(2, CHAIN);
        b.nested(4, expressions);
    });
}

fn expression(b: &mut Builder, name: &str, data: impl FnOnce(&mut Builder)) {
    b.nested(LIST_ELEMENT, |b| {
        b.text(1, name);
        b.nested(2, data);
    });
}

/// The packet's family, since the table takes both.
fn family(b: &mut Builder, family: u8) {
    meta(b, META_NFPROTO, WIDE);
    compare(b, WIDE, EQUAL, &[family]);
}

fn meta(b: &mut Builder, key: u32, register: u32) {
    expression(b, "meta", |b| {
        b.be32(2, key);
        b.be32(1, register);
    });
}

fn payload(b: &mut Builder, base: u32, offset: u32, length: u32, register: u32) {
    expression(b, "payload", |b| {
        b.be32(1, register);
        b.be32(2, base);
        b.be32(3, offset);
        b.be32(4, length);
    });
}

fn compare(b: &mut Builder, register: u32, operator: u32, value: &[u8]) {
    expression(b, "cmp", |b| {
        b.be32(1, register);
        b.be32(2, operator);
        b.nested(3, |b| b.attribute(DATA_VALUE, value));
    });
}

fn lookup(b: &mut Builder, set: &str, register: u32) {
    expression(b, "lookup", |b| {
        b.text(1, set);
        b.be32(2, register);
    });
}

fn verdict(b: &mut Builder, code: u32) {
    expression(b, "immediate", |b| {
        b.be32(1, 0);
        b.nested(2, |b| b.nested(2, |b| b.be32(1, code)));
    });
}
