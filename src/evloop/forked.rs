//! A loop in a child of `fork`: what the child shares with its parent is replaced, what is the child's own is kept.
//!
//! The epoll set, the eventfd and the timer of the parent are never changed: the child closes its descriptors of them, and
//! a set ends, and forgets what it watches, only with its last descriptor, which is the parent's.

use super::backend::{Backend, Poller};
use super::embed::Embed;
use super::wake::Wake;
use super::{fork, registry, Attached, Loop};
use crate::errno::Errno;
use std::rc::Rc;

/// The kernel's side of a loop, made before anything is changed.
struct Fresh {
    wake: Wake,
    poller: Poller,
    embed: Option<Embed>,
}

impl Loop {
    /// In a child of `fork`: a kernel side of its own for a loop of the parent's, with every watcher, timer, post and task
    /// kept. The calling thread is the loop's from now on; rounds of it on this thread's stack go on. In the process that the
    /// loop belongs to, nothing happens.
    ///
    /// EBUSY when another thread of the parent was at work in the loop as this process was forked; else what the kernel
    /// says (EMFILE, ENFILE, ENOMEM). The loop then is as before.
    pub fn after_fork(self: &Rc<Loop>) -> Result<(), Errno> {
        if self.check_process().is_ok() {
            return Ok(());
        }
        if self.remote.is_torn() {
            crate::log!(
                Error,
                "evloop_after_fork: another thread was at work in the loop as this process was forked"
            );
            return Err(Errno(libc::EBUSY));
        }
        self.forget_lost_descriptors();
        let fresh = self.fresh_kernel_side()?;
        // While calls still find a loop that is the parent's, so that nothing that ends here reaches the shared set.
        let attached: Vec<Rc<dyn Attached>> = self.attached.borrow().values().cloned().collect();
        for object in attached {
            object.on_forked();
        }
        self.install(fresh);
        registry::took_over(self);
        if let Err(errno) = self.watch_signals_again() {
            crate::log!(Error, "a signal cannot be watched in the child: {errno}");
        }
        self.flush();
        self.show_work();
        Ok(())
    }

    /// What the host has closed meanwhile: the next descriptors may get those numbers.
    fn forget_lost_descriptors(&self) {
        if !fork::is_inherited(self.remote.wake.raw_fd()) {
            self.remote.wake.forget();
        }
        let mut poller = self.poller.borrow_mut();
        if let Some(lost) = poller.take_if(|p| !fork::is_inherited(p.raw_fd())) {
            lost.forget();
        }
        let mut embed = self.embed.borrow_mut();
        let lost = |embed: &mut Embed| !embed.numbers().into_iter().all(fork::is_inherited);
        if let Some(lost) = embed.take_if(lost) {
            lost.forget();
        }
    }

    fn fresh_kernel_side(&self) -> Result<Fresh, Errno> {
        let wake = Wake::new()?;
        let mut poller = self.kind.open()?;
        poller.add_wake(wake.raw_fd())?;
        let embed = match self.remote.embedded() {
            true => Some(Embed::new(&poller)?),
            false => None,
        };
        Ok(Fresh {
            wake,
            poller,
            embed,
        })
    }

    fn install(&self, fresh: Fresh) {
        let Fresh {
            wake,
            mut poller,
            embed,
        } = fresh;
        // Whatever was collected by a round on the stack is the parent's.
        let wait = self.waits.get().wrapping_add(1);
        self.waits.set(wait);
        self.remote.take_over(wake);
        self.generation.set(fork::generation());
        // The numbers it shares with the parent are its own no longer.
        self.remote.note_descriptors(-1, [-1, -1]);
        let troubles = self.table.borrow_mut().register_all(&mut poller, wait);
        if let Some(old) = self.poller.replace(Some(poller)) {
            old.abandon();
        }
        let old = self.embed.take();
        *self.embed.borrow_mut() = match (embed, old) {
            (Some(embed), Some(old)) => Some(embed.replace(old)),
            (embed, _) => embed,
        };
        self.note_descriptors();
        self.rebuild_wanted.set(false);
        self.time_known.set(false);
        self.report(troubles);
    }
}
