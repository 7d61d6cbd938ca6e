//! Addresses in the shape C programs know: a `struct addrinfo` list.

use crate::dns::Address;
use std::ptr;

/// A list that owns all it points to. Dropped, every pointer into it is dead.
pub(super) struct AddrInfoList {
    entries: Vec<libc::addrinfo>,
    /// What the entries' `ai_addr` point to: copies, so that a program that writes there harms nobody else.
    _addresses: Vec<libc::sockaddr_storage>,
}

impl AddrInfoList {
    /// The same addresses in the same order; flags are 0, and there is no canonical name.
    pub(super) fn new(addresses: &[Address]) -> AddrInfoList {
        let mut storage: Vec<libc::sockaddr_storage> = addresses
            .iter()
            .map(|address| {
                // SAFETY: integers only, for which zeros are valid.
                let mut copy: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
                let length = (address.addr.len() as usize).min(size_of_val(&copy));
                // SAFETY: a SockAddr holds at least `len()` bytes, the copy as many, and they are apart.
                unsafe {
                    ptr::copy_nonoverlapping(
                        address.addr.as_ptr().cast::<u8>(),
                        ptr::from_mut(&mut copy).cast::<u8>(),
                        length,
                    );
                }
                copy
            })
            .collect();
        let mut entries: Vec<libc::addrinfo> = addresses
            .iter()
            .zip(&mut storage)
            .map(|(address, copy)| {
                // SAFETY: integers and pointers, for which zeros are valid.
                let mut entry: libc::addrinfo = unsafe { std::mem::zeroed() };
                entry.ai_family = i32::from(address.addr.family());
                entry.ai_socktype = address.socktype;
                entry.ai_protocol = address.protocol;
                entry.ai_addrlen = address.addr.len();
                entry.ai_addr = ptr::from_mut(copy).cast();
                entry
            })
            .collect();
        // From the last to the first: each entry gets the address of the one after it.
        let mut next: *mut libc::addrinfo = ptr::null_mut();
        for entry in entries.iter_mut().rev() {
            entry.ai_next = next;
            next = entry;
        }
        AddrInfoList {
            entries,
            _addresses: storage,
        }
    }

    /// The first entry; NULL for an empty list.
    pub(super) fn head(&mut self) -> *const libc::addrinfo {
        if self.entries.is_empty() {
            ptr::null()
        } else {
            self.entries.as_mut_ptr().cast_const()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn a_list_says_what_the_addresses_say() {
        let given: Vec<Address> = ["127.0.0.1:80", "[fe80::1%3]:443", "[::1]:1"]
            .iter()
            .enumerate()
            .map(|(i, text)| Address {
                addr: text.parse::<SocketAddr>().unwrap().into(),
                socktype: i as i32 + 1,
                protocol: i as i32 + 10,
            })
            .collect();
        let mut list = AddrInfoList::new(&given);
        let mut next = list.head();
        for address in &given {
            // SAFETY: an entry of the list, which is alive.
            let entry = unsafe { next.as_ref() }.unwrap();
            assert_eq!(entry.ai_family, i32::from(address.addr.family()));
            assert_eq!(
                (entry.ai_socktype, entry.ai_protocol),
                (address.socktype, address.protocol)
            );
            assert_eq!((entry.ai_flags, entry.ai_canonname.is_null()), (0, true));
            // SAFETY: the entry says that so many bytes are there.
            let (there, given) = unsafe {
                (
                    std::slice::from_raw_parts(
                        entry.ai_addr.cast::<u8>(),
                        entry.ai_addrlen as usize,
                    ),
                    std::slice::from_raw_parts(
                        address.addr.as_ptr().cast::<u8>(),
                        address.addr.len() as usize,
                    ),
                )
            };
            assert_eq!(there, given);
            next = entry.ai_next;
        }
        assert!(next.is_null());
        assert!(AddrInfoList::new(&[]).head().is_null());
    }
}
