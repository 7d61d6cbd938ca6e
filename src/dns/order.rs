//! The order in which addresses are tried (RFC 8305 section 4). Pure.

use super::Address;
use std::ffi::c_int;
use std::net::IpAddr;

/// An answer of more entries is cut: how many there are is the name server's choice, and each is kept in memory.
const MAX_ADDRESSES: usize = 256;

/// Keeps the resolver's order (RFC 6724) and interleaves the families, the first address's family first ("First Address
/// Family Count" 1). The entries of one address (stream, datagram, raw) stay together.
pub(super) fn arrange(addresses: Vec<Address>) -> Vec<Address> {
    let mut arranged = interleave(addresses, family, |a, b| ip(a).is_some() && ip(a) == ip(b));
    arranged.truncate(MAX_ADDRESSES);
    arranged
}

fn family(address: &Address) -> c_int {
    c_int::from(address.addr.family())
}

fn ip(address: &Address) -> Option<(IpAddr, u32)> {
    let scope = address.addr.as_socket_ipv6().map_or(0, |a| a.scope_id());
    address.addr.as_socket().map(|a| (a.ip(), scope))
}

/// Takes the units of items (neighbours that are `same`) from two queues in turn: those of the first item's family, and
/// all others.
fn interleave<T>(
    items: Vec<T>,
    family: impl Fn(&T) -> c_int,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<T> {
    let count = items.len();
    let mut units: Vec<Vec<T>> = Vec::with_capacity(count);
    for item in items {
        match units.last_mut() {
            Some(unit) if unit.last().is_some_and(|last| same(last, &item)) => unit.push(item),
            _ => units.push(vec![item]),
        }
    }
    let family_of = |unit: &Vec<T>| unit.first().map(&family);
    let first_family = units.first().and_then(family_of);
    let (mut preferred, mut others): (
        std::collections::VecDeque<_>,
        std::collections::VecDeque<_>,
    ) = (
        std::collections::VecDeque::new(),
        std::collections::VecDeque::new(),
    );
    for unit in units {
        if family_of(&unit) == first_family {
            preferred.push_back(unit);
        } else {
            others.push_back(unit);
        }
    }
    let mut arranged = Vec::with_capacity(count);
    while !preferred.is_empty() || !others.is_empty() {
        arranged.extend(preferred.pop_front().into_iter().flatten());
        arranged.extend(others.pop_front().into_iter().flatten());
    }
    arranged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn address(text: &str, socktype: c_int) -> Address {
        Address {
            addr: text.parse::<SocketAddr>().unwrap().into(),
            socktype,
            protocol: 0,
        }
    }

    fn shown(addresses: &[Address]) -> Vec<String> {
        let ip = |a: &Address| a.addr.as_socket().unwrap().ip();
        addresses
            .iter()
            .map(|a| format!("{}/{}", ip(a), a.socktype))
            .collect()
    }

    #[test]
    fn families_take_turns_and_the_first_one_leads() {
        let list =
            ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(|a| address(a, 1));
        assert_eq!(
            shown(&arrange(list.to_vec())),
            ["::1/1", "1.1.1.1/1", "::2/1", "2.2.2.2/1", "::3/1"]
        );
        let list = ["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"].map(|a| address(a, 1));
        assert_eq!(
            shown(&arrange(list.to_vec())),
            ["1.1.1.1/1", "::1/1", "2.2.2.2/1"]
        );
        assert!(arrange(Vec::new()).is_empty());
    }

    #[test]
    fn the_entries_of_one_address_stay_together() {
        let list: Vec<Address> = ["[::1]:1", "[::2]:1", "1.1.1.1:1"]
            .iter()
            .flat_map(|a| [address(a, 1), address(a, 2)])
            .collect();
        assert_eq!(
            shown(&arrange(list)),
            ["::1/1", "::1/2", "1.1.1.1/1", "1.1.1.1/2", "::2/1", "::2/2"]
        );
    }

    #[test]
    fn a_long_answer_is_cut_after_both_families_had_their_turn() {
        let mut list = vec![address("[::1]:1", 1); 1];
        list.extend((0..400u16).map(|i| address(&format!("[::1:{i:x}]:1"), 1)));
        list.push(address("1.1.1.1:1", 1));
        let arranged = arrange(list);
        assert_eq!(arranged.len(), MAX_ADDRESSES);
        assert_eq!(shown(&arranged[..2]), ["::1/1", "1.1.1.1/1"]);
    }

    proptest! {
        /// Items are (family, unit, number): a permutation; each family in its order; families alternate as long as
        /// both have units left.
        #[test]
        fn any_list(families in prop::collection::vec((0..3i32, 1..4usize), 0..40)) {
            let mut items = Vec::new();
            for (unit, (family, size)) in families.iter().enumerate() {
                items.extend((0..*size).map(|n| (*family, unit, n)));
            }
            let arranged = interleave(items.clone(), |i| i.0, |a, b| a.1 == b.1);
            let mut sorted = arranged.clone();
            sorted.sort_by_key(|i| (i.1, i.2));
            prop_assert_eq!(&sorted, &items);
            let first = items.first().map(|i| i.0);
            prop_assert_eq!(arranged.first(), items.first());
            for preferred in [true, false] {
                let of = |list: &[(i32, usize, usize)]| -> Vec<_> {
                    list.iter().copied().filter(|i| (Some(i.0) == first) == preferred).collect()
                };
                prop_assert_eq!(of(&arranged), of(&items));
            }
            let mut turns: Vec<bool> = Vec::new();
            let mut last_unit = None;
            for item in &arranged {
                if last_unit != Some(item.1) {
                    turns.push(Some(item.0) == first);
                    last_unit = Some(item.1);
                }
            }
            let both = 2 * turns.iter().filter(|t| **t).count().min(turns.iter().filter(|t| !**t).count());
            for (i, turn) in turns.iter().take(both).enumerate() {
                prop_assert_eq!(*turn, i % 2 == 0);
            }
        }
    }
}
