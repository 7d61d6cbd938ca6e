//! A thread's buffer while bytes of the program's are in it, which are wiped before others get it.

use crate::tls;
use crate::transport::buffers;

/// Such a buffer; what its length covers is wiped at the end.
pub(super) struct Plain(pub(super) Vec<u8>);

impl Plain {
    /// Wipes the first `count` bytes of an empty one's spare capacity.
    ///
    /// # Safety
    /// So many bytes were written there.
    pub(super) unsafe fn wipe_spare(&mut self, count: usize) {
        // SAFETY: within the capacity, and the caller's promise.
        unsafe { self.0.set_len(count.min(self.0.capacity())) };
        tls::wipe(&mut self.0);
        self.0.clear();
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        tls::wipe(&mut self.0);
        buffers::give(std::mem::take(&mut self.0));
    }
}
