//! A few buffers kept by each thread, so that a connection can take one when bytes move and give it back at once.

use std::cell::RefCell;

/// A buffer that grew beyond this is given back to the allocator.
const LARGEST: usize = 160 * 1024;
/// How many are kept.
const KEPT: usize = 4;

thread_local!(static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });

/// An empty buffer, perhaps with capacity.
pub(super) fn take() -> Vec<u8> {
    // At the end of a thread the list may be gone: then there is simply no spare one.
    SPARE
        .try_with(|spare| spare.borrow_mut().pop())
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Keeps a buffer for the next `take`.
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > LARGEST {
        return;
    }
    buffer.clear();
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}

/// Appends, or says that there is no memory.
pub(super) fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
    if buffer.try_reserve(bytes.len()).is_err() {
        return false;
    }
    buffer.extend_from_slice(bytes);
    true
}
