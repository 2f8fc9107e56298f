use super::*;
use proptest::prelude::*;

fn v4(a: [u8; 4]) -> IpAddr {
    IpAddr::from(a)
}

const SRC: [u8; 4] = [192, 0, 2, 1];

fn outgoing(addresses: &[IpAddr]) -> Outgoing<'_> {
    Outgoing {
        version: Version::V3,
        vrid: Vrid::new(51).unwrap(),
        priority: 100,
        interval: Duration::from_secs(1),
        addresses,
        auth_pass: None,
        checksum_form: ChecksumForm::Rfc9568,
        source: v4(SRC),
        destination: IpAddr::V4(GROUP_V4),
    }
}

fn datagram<'a>(o: &Outgoing<'_>, payload: &'a [u8]) -> Datagram<'a> {
    Datagram { source: o.source, destination: o.destination, hop_limit: 255, payload }
}

fn check(o: &Outgoing<'_>, bytes: &[u8]) -> Result<(), Discard> {
    decode(Family::of(&o.source), &datagram(o, bytes), None).map(|_| ())
}

/// The vectors of the requirement ledger.
#[test]
fn checksum_vectors() {
    let a = [v4([192, 0, 2, 100])];
    let base = outgoing(&a);
    let sum = |o: &Outgoing<'_>| {
        let b = encode(o);
        u16::from_be_bytes([b[6], b[7]])
    };
    let v2 = Outgoing { version: Version::V2, ..base };
    assert_eq!(encode(&v2), [0x21, 0x33, 0x64, 1, 0, 1, 0xb8, 0x65, 192, 0, 2, 100, 0, 0, 0, 0, 0, 0, 0, 0]);
    let secret = AuthPass::new("secret");
    let pass = Outgoing { auth_pass: Some(&secret), ..v2 };
    assert_eq!(
        encode(&pass),
        [0x21, 0x33, 0x64, 1, 1, 1, 0x7b, 0x19, 192, 0, 2, 100, b's', b'e', b'c', b'r', b'e', b't', 0, 0]
    );
    assert_eq!(encode(&base), [0x31, 0x33, 0x64, 1, 0, 0x64, 0xa8, 0x02, 192, 0, 2, 100]);
    let pseudo = Outgoing { checksum_form: ChecksumForm::PseudoHeader, ..base };
    assert_eq!(sum(&pseudo), 0x0572);
    assert_eq!(sum(&Outgoing { destination: v4([192, 0, 2, 2]), ..pseudo }), 0x2382);
    let six: [IpAddr; 2] = ["fe80::100".parse().unwrap(), "2001:db8::100".parse().unwrap()];
    let v6 = Outgoing {
        source: "fe80::1".parse().unwrap(),
        destination: IpAddr::V6(GROUP_V6),
        addresses: &six,
        ..base
    };
    assert_eq!(sum(&v6), 0x3dfd);
}

#[test]
fn both_checksum_forms_of_v3_are_accepted_and_told_apart() {
    let a = [v4([192, 0, 2, 100])];
    let form = |o: &Outgoing<'_>, to: IpAddr| {
        let b = encode(o);
        decode(Family::Ipv4, &Datagram { destination: to, ..datagram(o, &b) }, None).map(|a| a.checksum_form)
    };
    let plain = outgoing(&a);
    assert_eq!(form(&plain, plain.destination), Ok(Some(ChecksumForm::Rfc9568)));
    let pseudo = Outgoing { checksum_form: ChecksumForm::PseudoHeader, ..plain };
    assert_eq!(form(&pseudo, pseudo.destination), Ok(Some(ChecksumForm::PseudoHeader)));
    // Unicast whose sum was made with the multicast group: FRR, keepalived up to 1.3.6.
    assert_eq!(form(&pseudo, v4([192, 0, 2, 2])), Ok(Some(ChecksumForm::PseudoHeader)));
    // A pseudo-header of yet another destination is wrong in every form.
    let odd = Outgoing { destination: v4([192, 0, 2, 77]), ..pseudo };
    assert_eq!(form(&odd, v4([192, 0, 2, 2])), Err(Discard::Checksum));
}

#[test]
fn the_pseudo_header_form_is_wrong_in_v2_and_the_plain_form_in_ipv6() {
    let a = [v4([192, 0, 2, 100])];
    let v2 = Outgoing { version: Version::V2, ..outgoing(&a) };
    let mut b = encode(&v2);
    b[6..8].fill(0);
    let sum = checksum::compute(Cover::Pseudo { source: &v2.source, destination: &v2.destination }, &b)
        .to_be_bytes();
    b[6..8].copy_from_slice(&sum);
    assert_eq!(check(&v2, &b), Err(Discard::Checksum));

    let six: [IpAddr; 1] = ["fe80::100".parse().unwrap()];
    let v6 =
        Outgoing { source: "fe80::1".parse().unwrap(), destination: IpAddr::V6(GROUP_V6), ..outgoing(&six) };
    let mut b = encode(&v6);
    assert_eq!(check(&v6, &b), Ok(()));
    b[6..8].fill(0);
    let sum = checksum::compute(Cover::Message, &b).to_be_bytes();
    b[6..8].copy_from_slice(&sum);
    assert_eq!(check(&v6, &b), Err(Discard::Checksum));
}

#[test]
fn every_truncation_and_every_surplus_is_a_length_error() {
    let a = [v4([192, 0, 2, 100]), v4([192, 0, 2, 101])];
    for version in [Version::V2, Version::V3] {
        let o = Outgoing { version, ..outgoing(&a) };
        let full = encode(&o);
        for len in 0..full.len() {
            assert_eq!(check(&o, &full[..len]), Err(Discard::Length), "{version} cut to {len}");
        }
        for more in 1..64 {
            let long = [full.as_slice(), &vec![0; more]].concat();
            assert_eq!(check(&o, &long), Err(Discard::Length), "{version} with {more} surplus bytes");
        }
    }
}

#[test]
fn every_single_flipped_bit_is_found() {
    let a = [v4([192, 0, 2, 100])];
    for form in [ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader] {
        let o = Outgoing { checksum_form: form, ..outgoing(&a) };
        let full = encode(&o);
        for bit in 0..full.len() * 8 {
            let mut b = full.clone();
            b[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&o, &b).is_err(), "bit {bit} of {form}");
        }
    }
}

/// Not "absent", as in UDP: the sum of a message may be 0, and a 0 that is not the sum is wrong.
#[test]
fn a_checksum_of_zero_is_a_value() {
    let zero = (0..=u16::MAX).find_map(|n| {
        let a = [v4([198, 18, n.to_be_bytes()[0], n.to_be_bytes()[1]])];
        let b = encode(&outgoing(&a));
        (b[6..8] == [0, 0]).then_some(b)
    });
    let a = [v4([192, 0, 2, 100])];
    assert_eq!(check(&outgoing(&a), &zero.unwrap()), Ok(()));
    let mut b = encode(&outgoing(&a));
    b[6..8].fill(0);
    assert_eq!(check(&outgoing(&a), &b), Err(Discard::Checksum));
}

fn rewritten(o: &Outgoing<'_>, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut b = encode(o);
    change(&mut b);
    b[6..8].fill(0);
    let sum = checksum::compute(Cover::Message, &b).to_be_bytes();
    b[6..8].copy_from_slice(&sum);
    b
}

#[test]
fn ttl_version_and_type_are_judged_before_length_and_checksum() {
    let a = [v4([192, 0, 2, 100])];
    let o = outgoing(&a);
    let good = encode(&o);
    for ttl in [0, 1, 64, 128, 254] {
        let d = Datagram { hop_limit: ttl, ..datagram(&o, &good) };
        assert_eq!(decode(Family::Ipv4, &d, None).map(|_| ()), Err(Discard::Ttl));
        let d = Datagram { hop_limit: ttl, payload: &[], ..datagram(&o, &good) };
        assert_eq!(decode(Family::Ipv4, &d, None).map(|_| ()), Err(Discard::Ttl));
        let unicast = Outgoing { destination: v4([192, 0, 2, 2]), ..o };
        let d = Datagram { hop_limit: ttl, ..datagram(&unicast, &good) };
        assert_eq!(decode(Family::Ipv4, &d, None).map(|_| ()), Ok(()), "unicast is not judged by TTL");
    }
    for version in [0u8, 1, 4, 15] {
        assert_eq!(check(&o, &rewritten(&o, |b| b[0] = version << 4 | 1)), Err(Discard::Version));
        assert_eq!(check(&o, &[version << 4 | 1]), Err(Discard::Version));
    }
    for kind in (0u8..16).filter(|k| *k != 1) {
        assert_eq!(check(&o, &rewritten(&o, |b| b[0] = 0x30 | kind)), Err(Discard::Type));
        assert_eq!(check(&o, &[0x30 | kind]), Err(Discard::Type));
    }
    assert_eq!(
        decode(Family::Ipv4, &datagram(&o, &good), Some(Version::V2)).map(|_| ()),
        Err(Discard::Version)
    );
}

#[test]
fn version_2_over_ipv6_does_not_exist() {
    let six: [IpAddr; 1] = ["fe80::100".parse().unwrap()];
    let o = Outgoing {
        version: Version::V2,
        source: "fe80::1".parse().unwrap(),
        destination: IpAddr::V6(GROUP_V6),
        ..outgoing(&six)
    };
    assert_eq!(check(&o, &encode(&o)), Err(Discard::Version));
}

#[test]
fn reserved_bits_are_ignored_and_an_interval_of_zero_is_refused() {
    let a = [v4([192, 0, 2, 100])];
    let o = outgoing(&a);
    let b = rewritten(&o, |b| b[4] |= 0xf0);
    let got = decode(Family::Ipv4, &datagram(&o, &b), None).unwrap();
    assert_eq!(got.interval, Duration::from_secs(1), "f0 64 is 100 centiseconds, not 61540");
    assert_eq!(check(&o, &rewritten(&o, |b| b[4..6].fill(0))), Err(Discard::ZeroInterval));
    let v2 = Outgoing { version: Version::V2, ..o };
    assert_eq!(check(&v2, &rewritten(&v2, |b| b[5] = 0)), Err(Discard::ZeroInterval));
    assert_eq!(check(&o, &rewritten(&o, |b| b[1] = 0)), Err(Discard::Vrid));
}

#[test]
fn intervals_stand_on_the_wire_as_the_rfcs_say() {
    let a = [v4([192, 0, 2, 100])];
    let bytes = |version, interval| {
        let b = encode(&Outgoing { version, interval, ..outgoing(&a) });
        [b[4], b[5]]
    };
    assert_eq!(bytes(Version::V3, Duration::from_millis(10)), [0, 1]);
    assert_eq!(bytes(Version::V3, Duration::from_secs(1)), [0, 0x64]);
    assert_eq!(bytes(Version::V3, Duration::from_millis(40_950)), [0x0f, 0xff]);
    assert_eq!(bytes(Version::V2, Duration::from_secs(1)), [0, 1]);
    assert_eq!(bytes(Version::V2, Duration::from_secs(255)), [0, 255]);
}

#[test]
fn garbage_in_the_data_of_authentication_type_0_is_ignored() {
    let a = [v4([192, 0, 2, 100])];
    let v2 = Outgoing { version: Version::V2, ..outgoing(&a) };
    let b = rewritten(&v2, |b| b[12..20].copy_from_slice(b"whatever"));
    assert_eq!(check(&v2, &b), Ok(()));
}

proptest! {
    #[test]
    fn decoding_never_panics(payload in prop::collection::vec(any::<u8>(), 0..600), six: bool, hop_limit: u8) {
        let family = if six { Family::Ipv6 } else { Family::Ipv4 };
        let source = if six { "fe80::1".parse().unwrap() } else { v4(SRC) };
        let _ = decode(family, &Datagram { source, destination: group(family), hop_limit, payload: &payload }, None);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        vrid in 1u8.., priority: u8, cs in 1u64..4096, seconds in 1u64..256, count in 1usize..=255,
        v2: bool, six: bool, pseudo: bool, pass in prop::option::of("[a-z]{1,8}"),
    ) {
        let family = if six { Family::Ipv6 } else { Family::Ipv4 };
        let version = if v2 && !six { Version::V2 } else { Version::V3 };
        let addresses: Vec<IpAddr> = (0..count).map(|n| {
            let n = u8::try_from(n).unwrap();
            if six { IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, n]) } else { v4([198, 18, 0, n]) }
        }).collect();
        let auth = pass.as_deref().map(AuthPass::new);
        let interval = match version {
            Version::V2 => Duration::from_secs(seconds),
            Version::V3 => Duration::from_millis(cs * 10),
        };
        let o = Outgoing {
            version, vrid: Vrid::new(vrid).unwrap(), priority, interval, addresses: &addresses,
            auth_pass: auth.as_ref().filter(|_| version == Version::V2),
            checksum_form: if pseudo { ChecksumForm::PseudoHeader } else { ChecksumForm::Rfc9568 },
            source: if six { "fe80::1".parse().unwrap() } else { v4(SRC) },
            destination: group(family),
        };
        let bytes = encode(&o);
        let got = decode(family, &datagram(&o, &bytes), Some(version)).unwrap();
        prop_assert_eq!((got.version, got.vrid, got.priority, got.interval), (version, o.vrid, priority, interval));
        prop_assert_eq!(got.addresses.iter().collect::<Vec<_>>(), addresses.clone());
        prop_assert!(got.addresses.is_same_set(&addresses));
        prop_assert_eq!(got.auth_type, u8::from(o.auth_pass.is_some()));
        if let Some(p) = o.auth_pass {
            prop_assert_eq!(got.auth_data, Some(p.bytes()));
        }
    }
}
