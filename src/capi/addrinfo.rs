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

/// What a list that a program ends is made of, one entry: the address stands where glibc's own lists have it.
#[repr(C)]
struct Entry {
    info: libc::addrinfo,
    address: libc::sockaddr_storage,
}

/// The addresses as a list of the program's, which ends with [`free`]. NULL for none, and for lack of memory.
pub(super) fn give(addresses: &[Address]) -> *mut libc::addrinfo {
    let mut list = AddrInfoList::new(addresses);
    // SAFETY: the head of a list that is alive.
    unsafe { copy(list.head()) }
}

/// A list of the program's with the same content; NULL for NULL, and for lack of memory.
///
/// # Safety
/// `list` is NULL or the head of a list as `getaddrinfo` makes it, which nobody changes meanwhile.
pub(super) unsafe fn copy(list: *const libc::addrinfo) -> *mut libc::addrinfo {
    let mut head: *mut libc::addrinfo = ptr::null_mut();
    let mut last: *mut *mut libc::addrinfo = &raw mut head;
    let mut next = list;
    // SAFETY: NULL or an entry, by the contract.
    while let Some(info) = unsafe { next.as_ref() } {
        next = info.ai_next;
        // SAFETY: takes any size.
        let entry = unsafe { libc::calloc(1, size_of::<Entry>()) }.cast::<Entry>();
        if entry.is_null() {
            // SAFETY: made here, and shown to nobody.
            unsafe { free(head) };
            return ptr::null_mut();
        }
        let length = (info.ai_addrlen as usize).min(size_of::<libc::sockaddr_storage>());
        // SAFETY: the entry was just made, of zeros, and has room for so much; the address and the name are as the contract says.
        // `last` is the place of the entry before, or `head`.
        unsafe {
            let new = &raw mut (*entry).info;
            *new = *info;
            (*new).ai_next = ptr::null_mut();
            (*new).ai_canonname = ptr::null_mut();
            if info.ai_addr.is_null() {
                (*new).ai_addrlen = 0;
            } else {
                let place = (&raw mut (*entry).address).cast::<u8>();
                ptr::copy_nonoverlapping(info.ai_addr.cast::<u8>(), place, length);
                (*new).ai_addr = place.cast();
                (*new).ai_addrlen = length as libc::socklen_t;
            }
            if !info.ai_canonname.is_null() {
                (*new).ai_canonname = libc::strdup(info.ai_canonname);
            }
            *last = new;
            last = &raw mut (*new).ai_next;
        }
    }
    head
}

/// Writes a port, other than 0, into each address.
///
/// # Safety
/// As [`copy`], and the list can be written.
pub(super) unsafe fn set_port(list: *mut libc::addrinfo, port: u16) {
    let mut next = list;
    // SAFETY: an entry of the list, by the contract; its address has as many bytes as the entry says.
    while let Some(entry) = unsafe { next.as_mut() } {
        next = entry.ai_next;
        let length = entry.ai_addrlen as usize;
        // Both kinds have it in the same place.
        let inet = [libc::AF_INET, libc::AF_INET6].contains(&entry.ai_family);
        if port != 0 && inet && !entry.ai_addr.is_null() && length >= size_of::<libc::sockaddr_in>()
        {
            let address = entry.ai_addr.cast::<libc::sockaddr_in>();
            // SAFETY: as above.
            unsafe { (&raw mut (*address).sin_port).write_unaligned(port.to_be()) };
        }
    }
}

/// Ends a list of the program's. One of glibc's own is laid out alike, and ends here too.
///
/// # Safety
/// `list` is NULL or what [`give`] or [`copy`] gave, for the last time.
pub(super) unsafe fn free(list: *mut libc::addrinfo) {
    let mut next = list;
    while !next.is_null() {
        let entry = next;
        // SAFETY: by the contract; an address that does not stand behind its entry is memory of its own, as the name is.
        unsafe {
            next = (*entry).ai_next;
            let beside = entry.add(1).cast::<libc::sockaddr>();
            if (*entry).ai_addr != beside {
                libc::free((*entry).ai_addr.cast());
            }
            libc::free((*entry).ai_canonname.cast());
            libc::free(entry.cast());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn a_programs_list_is_its_own_and_so_is_its_copy() {
        let given: Vec<Address> = ["127.0.0.1:80", "[::1]:1"]
            .iter()
            .map(|text| Address {
                addr: text.parse::<SocketAddr>().unwrap().into(),
                socktype: 1,
                protocol: 6,
            })
            .collect();
        let list = give(&given);
        // SAFETY: a list, and a name of malloc's in it, which goes with it.
        unsafe {
            (*list).ai_canonname = libc::strdup(c"one".as_ptr());
            let copied = copy(list);
            free(list);
            assert_eq!(std::ffi::CStr::from_ptr((*copied).ai_canonname), c"one");
            let second = (*copied).ai_next;
            assert_eq!((*second).ai_family, libc::AF_INET6);
            assert!((*second).ai_next.is_null());
            assert_eq!((*(*copied).ai_addr).sa_family as i32, libc::AF_INET);
            free(copied);
            free(ptr::null_mut());
        }
        assert!(give(&[]).is_null());
    }

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
