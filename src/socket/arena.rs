//! Regions of memory that go all at once. Blocks are cut from chunks; what they are for is not known here.

use super::error::{Error, Kind};
use crate::errno::Errno;
use std::alloc::{alloc, dealloc, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every block begins at a multiple of this.
const ALIGNMENT: usize = 16;
/// The first chunk of an arena; each further one is twice as long, up to [`LONGEST_CHUNK`].
const SHORTEST_CHUNK: usize = 4096;
const LONGEST_CHUNK: usize = 1024 * 1024;
/// The largest block.
pub const LARGEST_BLOCK: usize = 256 * 1024 * 1024;

/// What all arenas of the process may take together; 0: no limit.
static LIMIT: AtomicUsize = AtomicUsize::new(0);
/// What they have taken.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Sets what all arenas of the process may take together; 0: no limit. Those that have more already keep it.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// What [`set_limit`] has set.
pub fn limit() -> usize {
    LIMIT.load(Ordering::Relaxed)
}

/// What all arenas of the process have taken.
pub fn used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// A piece of the heap.
struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a chunk owns its memory, and the heap is everybody's.
unsafe impl Send for Chunk {}

impl Chunk {
    /// ENOMEM also where the process's limit would be passed.
    fn new(size: usize) -> Result<Chunk, Errno> {
        let no_memory = Errno(libc::ENOMEM);
        let layout = Layout::from_size_align(size, ALIGNMENT).map_err(|_| no_memory)?;
        let room = |used: usize| {
            let after = used.checked_add(size)?;
            let limit = limit();
            (limit == 0 || after <= limit).then_some(after)
        };
        USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .map_err(|_| no_memory)?;
        // SAFETY: no chunk is empty.
        match NonNull::new(unsafe { alloc(layout) }) {
            Some(start) => Ok(Chunk { start, layout }),
            None => {
                USED.fetch_sub(size, Ordering::Relaxed);
                Err(no_memory)
            }
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        USED.fetch_sub(self.layout.size(), Ordering::Relaxed);
        // SAFETY: allocated with this layout in `new`.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[derive(Default)]
struct Chunks {
    /// Blocks are cut from the last one.
    all: Vec<Chunk>,
    /// How much of the last one is taken.
    taken: usize,
}

/// A region. Its blocks live until it is cleared or dropped.
#[derive(Default)]
pub struct Arena {
    chunks: Mutex<Chunks>,
}

impl Arena {
    /// An empty one: the first block takes memory.
    pub fn new() -> Arena {
        Arena::default()
    }

    /// As [`new`](Arena::new), in memory of its own; ENOMEM where there is none.
    pub fn boxed() -> Result<Box<Arena>, Error> {
        // SAFETY: an arena is not of size zero.
        let place = unsafe { alloc(Layout::new::<Arena>()) }.cast::<Arena>();
        if place.is_null() {
            let no_memory = Errno(libc::ENOMEM);
            return Err(Error::system(Kind::Arena, "a new arena", no_memory));
        }
        // SAFETY: just allocated as a box would have it, and written before anyone reads it.
        unsafe {
            place.write(Arena::new());
            Ok(Box::from_raw(place))
        }
    }

    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `size` bytes that nobody has written, aligned for any type of C's.
    pub fn alloc(&self, size: usize) -> Result<NonNull<u8>, Error> {
        if size == 0 || size > LARGEST_BLOCK {
            return Err(Error::invalid(
                Kind::Arena,
                format!("an arena gives 1 to {LARGEST_BLOCK} bytes at a time, not {size}"),
            ));
        }
        let size = size.next_multiple_of(ALIGNMENT);
        self.chunks().cut(size).map_err(|errno| {
            Error::system(Kind::Arena, format_args!("{size} bytes of an arena"), errno)
        })
    }

    /// `count` times `size` bytes, all zero.
    pub fn calloc(&self, count: usize, size: usize) -> Result<NonNull<u8>, Error> {
        let Some(whole) = count.checked_mul(size) else {
            return Err(Error::invalid(
                Kind::Arena,
                format!("{count} times {size} bytes are more than there can be"),
            ));
        };
        let start = self.alloc(whole)?;
        // SAFETY: a block of that size, just cut.
        unsafe { start.as_ptr().write_bytes(0, whole) };
        Ok(start)
    }

    /// Gives all memory back.
    pub fn clear(&self) {
        let chunks = std::mem::take(&mut *self.chunks());
        drop(chunks);
    }

    /// Gives all memory back but a chunk, from which blocks are cut anew.
    pub fn reset(&self) {
        let mut chunks = self.chunks();
        chunks.all.truncate(1);
        chunks.taken = 0;
    }
}

impl Chunks {
    fn cut(&mut self, size: usize) -> Result<NonNull<u8>, Errno> {
        let left = self
            .all
            .last()
            .map_or(0, |last| last.layout.size() - self.taken);
        if size > left {
            // Twice the last one, so that chunks stay few.
            let last = self.all.last().map_or(0, |last| last.layout.size());
            let next = last.saturating_mul(2).clamp(SHORTEST_CHUNK, LONGEST_CHUNK);
            self.all.try_reserve(1).map_err(|_| Errno(libc::ENOMEM))?;
            if size > next / 4 && left > 0 {
                // A large one stands by itself, before the one that others are cut from.
                let chunk = Chunk::new(size)?;
                let start = chunk.start;
                self.all.insert(self.all.len() - 1, chunk);
                return Ok(start);
            }
            // Near its limit a process gets what it asked for, not more.
            let chunk = Chunk::new(next.max(size)).or_else(|_| Chunk::new(size))?;
            self.all.push(chunk);
            self.taken = 0;
        }
        let Some(last) = self.all.last() else {
            return Err(Errno(libc::ENOMEM));
        };
        // SAFETY: `taken + size` is within the chunk.
        let start = unsafe { last.start.add(self.taken) };
        self.taken += size;
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_apart() {
        let arena = Arena::new();
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        for size in (1..200).chain([5000, 100_000, 3_000_000, 1]) {
            let start = arena.alloc(size).map(|p| p.as_ptr() as usize);
            let start = start.unwrap_or_default();
            assert!(start != 0 && start % ALIGNMENT == 0, "{size}");
            for (other, length) in &blocks {
                assert!(start + size <= *other || other + length <= start, "{size}");
            }
            // SAFETY: a block of that size.
            unsafe { (start as *mut u8).write_bytes(0xa5, size) };
            blocks.push((start, size));
        }
        arena.reset();
        arena.clear();
        assert!(arena.alloc(1).is_ok());
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let arena = Arena::new();
        for (count, size) in [(0, 1), (1, 0), (1, LARGEST_BLOCK + 1), (usize::MAX, 2)] {
            let error = arena.calloc(count, size).map(|_| ()).err();
            assert!(
                error.is_some_and(|e| e.errno == Errno(libc::EINVAL)),
                "{count} {size}"
            );
        }
        assert!(arena.alloc(LARGEST_BLOCK).is_ok());
    }
}
