//! Second connections that only ask whether the server answers at all: see [`crate::redis::watchdog`].

use std::ffi::c_int;
use std::io::ErrorKind;
use std::rc::Rc;

use super::engine::Engine;
use super::link::{Node, Probe};
use super::socket::Stream;
use super::state::Core;
use super::teardown::engine;
use super::uv::{self, READABLE, WRITABLE};
use crate::redis::by_peer::PeerId;
use crate::redis::watchdog::PROBE_LIMIT;

/// Redis answers it before any handshake, if only by asking for one.
const WORDS: &[u8] = b"PING\r\n";

impl Engine {
    /// Sends a probe to where the connection goes, and gives up those that are too old. Without one, the next look tries again.
    pub(super) fn probe(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        let node = &mut core.nodes[at];
        let now = self.now();
        while node.probes.front().is_some_and(|probe| now.saturating_sub(probe.sent) >= PROBE_LIMIT) {
            self.end_probe(node, 0);
        }
        let Some(endpoint) = node.endpoint() else { return };
        let Ok(stream) = Stream::connect(&endpoint, node.trust.as_ref()) else { return };
        let Some(handle) = self.poll_handle(stream.descriptor()) else { return };
        // SAFETY: the handle is open.
        unsafe { handle.watch(&self.uv, WRITABLE, on_probe) };
        node.probes.push_back(Probe { stream, handle, sent: now, asked: false });
    }

    /// Lets go of all.
    pub(super) fn end_probes(&self, node: &mut Node) {
        while !node.probes.is_empty() {
            self.end_probe(node, 0);
        }
    }

    fn end_probe(&self, node: &mut Node, place: usize) {
        let Some(Probe { stream, handle, .. }) = node.probes.remove(place) else { return };
        // SAFETY: the probe owns the handle and is taken out here, so it is closed once, before its descriptor.
        unsafe { handle.close(&self.uv) };
        drop(stream);
    }

    fn probe_polled(&self, core: &mut Core, status: c_int, handle: *mut uv::Handle) {
        let place_in = |node: &Node| node.probes.iter().position(|probe| probe.handle.is(handle));
        let found = core.nodes.iter().find_map(|(at, node)| Some((at, place_in(node)?)));
        let Some((at, place)) = found else { return };
        let node = &mut core.nodes[at];
        let probe = &mut node.probes[place];
        let over = if probe.asked {
            match probe.stream.read(&mut [0; 64]) {
                Ok(1..) => core.peers[at].watchdog.answered(self.now()),
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
            self.end_probe(node, place);
        } else {
            // SAFETY: the probe's handle is open.
            unsafe { probe.handle.watch(&self.uv, READABLE, on_probe) };
        }
    }
}

unsafe extern "C" fn on_probe(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine, outside| {
        engine.with_core(outside, |core| engine.probe_polled(core, status, handle));
    });
}
