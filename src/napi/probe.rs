//! A second connection that only asks whether the server answers at all: see [`crate::redis::watchdog`].

use std::ffi::c_int;
use std::rc::Rc;

use super::engine::{Core, Engine, engine};
use super::socket::Stream;
use super::uv::{self, READABLE, RawHandle, WRITABLE};

/// Redis answers it before any handshake, if only by asking for one. With TLS the answer to its greeting is enough.
const WORDS: &[u8] = b"PING\r\n";

/// A probe under way.
pub(super) struct Probe {
    stream: Stream,
    handle: RawHandle,
    asked: bool,
}

impl Engine {
    /// Sends a probe to where the connection goes, in place of the last one. Without one, the next look tries again.
    pub(super) fn probe(self: &Rc<Self>, core: &mut Core) {
        self.end_probe(core);
        let Some(endpoint) = core.connection.endpoint() else { return };
        let Ok(stream) = Stream::connect(&endpoint, core.connection.trust.as_ref()) else { return };
        let Some(handle) = self.poll_handle(stream.descriptor()) else { return };
        let probe = core.connection.probe.insert(Probe { stream, handle, asked: false });
        // SAFETY: the probe's handle is open.
        unsafe { probe.handle.watch(&self.uv, WRITABLE, on_probe) };
    }

    /// Lets go of it.
    pub(super) fn end_probe(&self, core: &mut Core) {
        if let Some(Probe { stream, handle, .. }) = core.connection.probe.take() {
            // SAFETY: the probe owns the handle and is taken out here, so it is closed once, before its descriptor.
            unsafe { handle.close(&self.uv) };
            drop(stream);
        }
    }

    fn probe_polled(&self, status: c_int) {
        let mut slot = self.core.borrow_mut();
        let Some(core) = slot.as_mut() else { return };
        let Some(probe) = &mut core.connection.probe else { return };
        if !probe.asked {
            probe.asked = true;
            // What does not go out at once is followed by another probe.
            if status < 0 || probe.stream.connected().and_then(|()| probe.stream.write(WORDS)).is_err() {
                return self.end_probe(core);
            }
            // SAFETY: the probe's handle is open.
            unsafe { probe.handle.watch(&self.uv, READABLE, on_probe) };
            return;
        }
        let read = probe.stream.read(&mut [0; 64]);
        if matches!(read, Ok(1..)) || probe.stream.has_heard() {
            core.watchdog.answered(self.now());
        }
        self.end_probe(core);
    }
}

unsafe extern "C" fn on_probe(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine| engine.probe_polled(status));
}
