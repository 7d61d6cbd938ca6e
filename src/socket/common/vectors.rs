//! I/O vectors and how far they were used up. Pure: no byte that they point to is touched.

use super::{Error, Kind};
use libc::iovec;

/// The most entries that the system takes at once.
pub const MOST: usize = 1024;

/// All bytes of all entries.
pub fn total(entries: &[iovec]) -> Result<usize, Error> {
    let mut lengths = entries.iter().map(|entry| entry.iov_len);
    let sum = lengths.try_fold(0usize, usize::checked_add);
    sum.filter(|sum| isize::try_from(*sum).is_ok())
        .ok_or_else(|| Error::invalid(Kind::Common, "I/O vector: its lengths overflow"))
}

/// Every entry that is not empty is somewhere.
pub fn check_bases(entries: &[iovec]) -> Result<(), Error> {
    let is_nowhere = |entry: &iovec| entry.iov_base.is_null() && entry.iov_len > 0;
    match entries.iter().position(is_nowhere) {
        None => Ok(()),
        Some(at) => {
            let text = format!("I/O vector: entry {at} has bytes and is NULL");
            Err(Error::invalid(Kind::Common, text))
        }
    }
}

/// Uses up so many bytes: entries that are finished become NULL and 0, the one that is not begins later.
pub fn advance(entries: &mut [iovec], bytes: usize) -> Result<(), Error> {
    let total = total(entries)?;
    if bytes > total {
        let text = format!("I/O vector: {bytes} bytes were used of {total}");
        return Err(Error::invalid(Kind::Common, text));
    }
    let mut left = bytes;
    for entry in entries {
        if left == 0 {
            break;
        }
        let used = left.min(entry.iov_len);
        left -= used;
        entry.iov_len -= used;
        entry.iov_base = match entry.iov_len {
            0 => std::ptr::null_mut(),
            _ => entry.iov_base.wrapping_byte_add(used),
        };
    }
    Ok(())
}

/// The first entry that has bytes.
pub fn first_active(entries: &[iovec]) -> Option<usize> {
    entries.iter().position(|entry| entry.iov_len > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(lengths: &[usize]) -> Vec<iovec> {
        let entry = |iov_len: &usize| iovec {
            iov_base: 0x1000 as *mut _,
            iov_len: *iov_len,
        };
        lengths.iter().map(entry).collect()
    }

    #[test]
    fn bytes_are_used_up_in_order() {
        let mut all = entries(&[2, 0, 3]);
        assert_eq!(total(&all).unwrap(), 5);
        advance(&mut all, 0).unwrap();
        assert_eq!(first_active(&all), Some(0));
        advance(&mut all, 3).unwrap();
        assert_eq!(first_active(&all), Some(2));
        assert!(all[0].iov_base.is_null() && all[0].iov_len == 0);
        assert_eq!((all[2].iov_base as usize, all[2].iov_len), (0x1001, 2));
        assert!(advance(&mut all, 3).is_err());
        advance(&mut all, 2).unwrap();
        assert_eq!(first_active(&all), None);
        assert!(total(&entries(&[usize::MAX, 1])).is_err());
        assert!(total(&entries(&[usize::MAX])).is_err());
        assert!(check_bases(&all).is_ok());
        all[1].iov_len = 1;
        all[1].iov_base = std::ptr::null_mut();
        assert!(check_bases(&all).is_err());
    }
}
