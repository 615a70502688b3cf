//! Second connections that only ask whether the server answers at all: see [`crate::redis::watchdog`].

use std::ffi::c_int;
use std::io::ErrorKind;
use std::rc::Rc;

use super::engine::{Core, Engine, engine};
use super::socket::Stream;
use super::uv::{self, READABLE, RawHandle, WRITABLE};
use crate::redis::watchdog::Pace;

/// Redis answers it before any handshake, if only by asking for one.
const WORDS: &[u8] = b"PING\r\n";

/// A probe under way.
pub(super) struct Probe {
    stream: Stream,
    handle: RawHandle,
    pace: Pace,
    asked: bool,
}

impl Engine {
    /// Sends a probe to where the connection goes, in place of the last one of its pace. Without one, the next look tries
    /// again.
    pub(super) fn probe(self: &Rc<Self>, core: &mut Core, pace: Pace) {
        self.end_probes(core, |probe| probe.pace == pace);
        let Some(endpoint) = core.connection.endpoint() else { return };
        let Ok(stream) = Stream::connect(&endpoint, core.connection.trust.as_ref()) else { return };
        let Some(handle) = self.poll_handle(stream.descriptor()) else { return };
        core.connection.probes.push(Probe { stream, handle, pace, asked: false });
        self.watch_probe(core, pace, WRITABLE);
    }

    fn watch_probe(&self, core: &mut Core, pace: Pace, events: c_int) {
        let Some(probe) = core.connection.probes.iter_mut().find(|probe| probe.pace == pace) else { return };
        let callback = match pace {
            Pace::Quick => on_quick_probe,
            Pace::Patient => on_patient_probe,
        };
        // SAFETY: the probe's handle is open.
        unsafe { probe.handle.watch(&self.uv, events, callback) };
    }

    /// Lets go of some.
    pub(super) fn end_probes(&self, core: &mut Core, which: impl FnMut(&mut Probe) -> bool) {
        for Probe { stream, handle, .. } in core.connection.probes.extract_if(.., which) {
            // SAFETY: the probe owns the handle and is taken out here, so it is closed once, before its descriptor.
            unsafe { handle.close(&self.uv) };
            drop(stream);
        }
    }

    fn probe_polled(&self, status: c_int, pace: Pace) {
        let mut slot = self.core.borrow_mut();
        let Some(core) = slot.as_mut() else { return };
        let Some(probe) = core.connection.probes.iter_mut().find(|probe| probe.pace == pace) else { return };
        let over = if probe.asked {
            match probe.stream.read(&mut [0; 64]) {
                Ok(1..) => core.watchdog.answered(self.now()),
                // TLS greets first. Whoever answers that may only stand in front of a server that does not.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Its greeting is answered by more of ours, behind which the words stand. A failure shows in the next read.
                    let _ = probe.stream.is_held_up();
                    return;
                }
                _ => {}
            }
            true
        } else {
            probe.asked = true;
            // What does not go out at once is followed by another probe.
            status < 0 || probe.stream.connected().and_then(|()| probe.stream.write(WORDS)).is_err()
        };
        if over {
            self.end_probes(core, |probe| probe.pace == pace);
        } else {
            self.watch_probe(core, pace, READABLE);
        }
    }
}

unsafe extern "C" fn on_quick_probe(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine| engine.probe_polled(status, Pace::Quick));
}

unsafe extern "C" fn on_patient_probe(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: as above.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine| engine.probe_polled(status, Pace::Patient));
}
