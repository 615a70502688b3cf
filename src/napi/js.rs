//! Node-API calls as results instead of status codes.
//!
//! A failed call means one of two things: a JavaScript exception is pending, or the environment is going down. Either
//! way there is nothing to add; [`Pending`] says "return to JavaScript now".

use std::ffi::{c_char, c_void};
use std::ptr;

use napi::sys;

/// A JavaScript value, valid within the current handle scope.
pub(super) type NapiValue = sys::napi_value;

/// Proof that JavaScript may run here: nobody borrows the core. There is one for each time that JavaScript or the event loop
/// calls us, and whatever runs JavaScript takes it.
pub(super) struct Outside(());

impl Outside {
    /// At the beginning of a callback of Node's, and nowhere else.
    pub(super) const fn of_callback() -> Self {
        Self(())
    }
}

/// Return to JavaScript: an exception is pending, or nothing can run any more.
#[derive(Debug)]
pub(super) struct Pending;

/// The result of a Node-API call.
pub(super) type Js<T> = Result<T, Pending>;

/// The environment of the running call. Copy, and only as valid as the call.
#[derive(Clone, Copy)]
pub(super) struct Env(pub(super) sys::napi_env);

/// What a function of ours is called with.
pub(super) struct Call<const N: usize> {
    pub(super) env: Env,
    pub(super) args: [NapiValue; N],
    pub(super) data: *mut c_void,
}

fn ok(status: sys::napi_status) -> Js<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Pending) }
}

/// Calls a Node-API function whose last argument is where the result goes.
macro_rules! out {
    ($function:ident($($arg:expr),* $(,)?)) => {{
        let mut result = ptr::null_mut();
        // SAFETY: the environment and the values belong to the running call; `result` outlives the call.
        ok(unsafe { sys::$function($($arg,)* &raw mut result) })?;
        Ok(result)
    }};
}

impl Env {
    /// The arguments of a call; missing ones are `undefined`.
    pub(super) fn call<const N: usize>(self, info: sys::napi_callback_info) -> Js<Call<N>> {
        let mut args = [ptr::null_mut(); N];
        let mut count = N;
        let mut data = ptr::null_mut();
        // SAFETY: `info` belongs to the running call; `args` has room for `count` values.
        ok(unsafe {
            sys::napi_get_cb_info(self.0, info, &raw mut count, args.as_mut_ptr(), ptr::null_mut(), &raw mut data)
        })?;
        Ok(Call { env: self, args, data })
    }

    pub(super) fn undefined(self) -> Js<NapiValue> {
        out!(napi_get_undefined(self.0))
    }

    pub(super) fn null(self) -> Js<NapiValue> {
        out!(napi_get_null(self.0))
    }

    pub(super) fn boolean(self, value: bool) -> Js<NapiValue> {
        out!(napi_get_boolean(self.0, value))
    }

    pub(super) fn number(self, value: f64) -> Js<NapiValue> {
        out!(napi_create_double(self.0, value))
    }

    /// Text; bytes that are not UTF-8 become U+FFFD, as in the original.
    pub(super) fn text(self, bytes: &[u8]) -> Js<NapiValue> {
        let (start, length) = (bytes.as_ptr().cast::<c_char>(), bytes.len().cast_signed());
        if bytes.is_ascii() {
            // One byte per character already: V8 copies instead of decoding.
            out!(napi_create_string_latin1(self.0, start, length))
        } else {
            out!(napi_create_string_utf8(self.0, start, length))
        }
    }

    pub(super) fn array(self, length: usize) -> Js<NapiValue> {
        out!(napi_create_array_with_length(self.0, length))
    }

    pub(super) fn object(self) -> Js<NapiValue> {
        out!(napi_create_object(self.0))
    }

    pub(super) fn set_element(self, array: NapiValue, index: u32, value: NapiValue) -> Js<()> {
        // SAFETY: values of the running call.
        ok(unsafe { sys::napi_set_element(self.0, array, index, value) })
    }

    pub(super) fn element(self, array: NapiValue, index: u32) -> Js<NapiValue> {
        out!(napi_get_element(self.0, array, index))
    }

    pub(super) fn set_named(self, object: NapiValue, name: &std::ffi::CStr, value: NapiValue) -> Js<()> {
        // SAFETY: values of the running call; the name ends with NUL.
        ok(unsafe { sys::napi_set_named_property(self.0, object, name.as_ptr(), value) })
    }

    pub(super) fn type_of(self, value: NapiValue) -> Js<sys::napi_valuetype> {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: a value of the running call.
        ok(unsafe { sys::napi_typeof(self.0, value, &raw mut kind) })?;
        Ok(kind)
    }

    pub(super) fn f64(self, value: NapiValue) -> Js<f64> {
        let mut number = 0.0;
        // SAFETY: a value of the running call.
        ok(unsafe { sys::napi_get_value_double(self.0, value, &raw mut number) })?;
        Ok(number)
    }

    /// A whole number as JavaScript's `>>> 0` makes it.
    pub(super) fn u32(self, value: NapiValue) -> Js<u32> {
        let mut number = 0;
        // SAFETY: a value of the running call.
        ok(unsafe { sys::napi_get_value_uint32(self.0, value, &raw mut number) })?;
        Ok(number)
    }

    /// JavaScript's truth of a value.
    pub(super) fn truthy(self, value: NapiValue) -> Js<bool> {
        let mut boolean = ptr::null_mut();
        // SAFETY: values of the running call.
        ok(unsafe { sys::napi_coerce_to_bool(self.0, value, &raw mut boolean) })?;
        let mut truthy = false;
        // SAFETY: as above; `boolean` is one.
        ok(unsafe { sys::napi_get_value_bool(self.0, boolean, &raw mut truthy) })?;
        Ok(truthy)
    }

    /// `String(value)`. Runs user code for objects, throws for symbols.
    pub(super) fn to_text(self, value: NapiValue) -> Js<NapiValue> {
        out!(napi_coerce_to_string(self.0, value))
    }

    /// Appends a string as UTF-8 (lone surrogates become U+FFFD); `false`: not a string.
    pub(super) fn push_text(self, value: NapiValue, out: &mut Vec<u8>) -> Js<bool> {
        // Nearly all strings fit here, so that one call is enough.
        const ROOM: usize = 256;
        out.reserve(ROOM);
        let room = out.capacity() - out.len();
        let mut copied = 0;
        // SAFETY: the spare capacity is writable for `room` bytes; Node-API writes at most that many, NUL included.
        let status = unsafe {
            let end = out.as_mut_ptr().add(out.len()).cast::<c_char>();
            sys::napi_get_value_string_utf8(self.0, value, end, room, &raw mut copied)
        };
        if status == sys::Status::napi_string_expected {
            return Ok(false);
        }
        ok(status)?;
        // A character of up to four bytes that did not fit is left out as a whole.
        if copied + 4 >= room {
            let mut length = 0;
            // SAFETY: without a buffer only the length is asked for.
            ok(unsafe { sys::napi_get_value_string_utf8(self.0, value, ptr::null_mut(), 0, &raw mut length) })?;
            out.reserve(length + 1);
            // SAFETY: as above, with room for the whole string and its NUL.
            ok(unsafe {
                let end = out.as_mut_ptr().add(out.len()).cast::<c_char>();
                sys::napi_get_value_string_utf8(self.0, value, end, length + 1, &raw mut copied)
            })?;
        }
        // SAFETY: `copied` bytes after the old length were just written.
        unsafe { out.set_len(out.len() + copied) };
        Ok(true)
    }

    /// Appends the bytes of a Buffer; `false`: not a Buffer.
    pub(super) fn push_buffer(self, value: NapiValue, out: &mut Vec<u8>) -> Js<bool> {
        let mut is_buffer = false;
        // SAFETY: a value of the running call.
        ok(unsafe { sys::napi_is_buffer(self.0, value, &raw mut is_buffer) })?;
        if !is_buffer {
            return Ok(false);
        }
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: as above.
        ok(unsafe { sys::napi_get_buffer_info(self.0, value, &raw mut data, &raw mut length) })?;
        if length > 0 && !data.is_null() {
            // SAFETY: V8 keeps `length` bytes at `data` alive while the value is; nothing runs in between. Another
            // thread may write to a SharedArrayBuffer meanwhile: bytes have no invalid values, so any mixture is data.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) });
        }
        Ok(true)
    }

    /// Runs `fill` with the bytes of a Buffer; none: not a Buffer. Nothing of JavaScript runs meanwhile.
    pub(super) fn fill_buffer<T>(self, value: NapiValue, fill: impl FnOnce(&mut [u8]) -> T) -> Js<Option<T>> {
        let mut is_buffer = false;
        // SAFETY: a value of the running call.
        ok(unsafe { sys::napi_is_buffer(self.0, value, &raw mut is_buffer) })?;
        if !is_buffer {
            return Ok(None);
        }
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: as above.
        ok(unsafe { sys::napi_get_buffer_info(self.0, value, &raw mut data, &raw mut length) })?;
        if length == 0 || data.is_null() {
            return Ok(Some(fill(&mut [])));
        }
        // SAFETY: V8 keeps `length` bytes at `data` alive while the value is, and does not move them. Our own JavaScript has made
        // the Buffer, of memory that no other thread knows, and it does not run before `fill` has returned.
        Ok(Some(fill(unsafe { std::slice::from_raw_parts_mut(data.cast::<u8>(), length) })))
    }

    /// The same with several Buffers; none also where two of them share memory.
    pub(super) fn fill_buffers<T, const N: usize>(
        self,
        values: [NapiValue; N],
        fill: impl FnOnce([&mut [u8]; N]) -> T,
    ) -> Js<Option<T>> {
        let mut places = [(ptr::null_mut::<u8>(), 0); N];
        for (place, value) in places.iter_mut().zip(values) {
            let Some(found) = self.fill_buffer(value, |bytes| (bytes.as_mut_ptr(), bytes.len()))? else {
                return Ok(None);
            };
            *place = found;
        }
        let mut ranges = places.map(|(data, length)| data.addr()..data.addr() + length);
        ranges.sort_by_key(|range| range.start);
        if ranges.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return Ok(None);
        }
        // SAFETY: as above for each, and no two of them share memory.
        Ok(Some(fill(places.map(|(data, length)| unsafe { std::slice::from_raw_parts_mut(data, length) }))))
    }

    /// A Buffer with a copy of the bytes.
    pub(super) fn buffer(self, bytes: &[u8]) -> Js<NapiValue> {
        let mut copy = ptr::null_mut();
        out!(napi_create_buffer_copy(self.0, bytes.len(), bytes.as_ptr().cast(), &raw mut copy))
    }

    /// Calls a function. An exception that it throws stays pending.
    pub(super) fn invoke(
        self,
        _outside: &mut Outside,
        this: NapiValue,
        function: NapiValue,
        args: &[NapiValue],
    ) -> Js<NapiValue> {
        out!(napi_call_function(self.0, this, function, args.len(), args.as_ptr()))
    }

    pub(super) fn reference(self, value: NapiValue) -> Js<sys::napi_ref> {
        out!(napi_create_reference(self.0, value, 1))
    }

    pub(super) fn referenced(self, reference: sys::napi_ref) -> Js<NapiValue> {
        out!(napi_get_reference_value(self.0, reference))
    }

    /// A function that JavaScript can call, with a pointer that it is called with.
    pub(super) fn function(self, name: &str, callback: sys::napi_callback, data: *mut c_void) -> Js<NapiValue> {
        let (start, length) = (name.as_ptr().cast::<c_char>(), name.len().cast_signed());
        out!(napi_create_function(self.0, start, length, callback, data))
    }

    pub(super) fn throw(self, error: NapiValue) {
        // SAFETY: a value of the running call. A failure leaves another exception pending, or nothing can run.
        unsafe { sys::napi_throw(self.0, error) };
    }

    /// Takes the pending exception, if there is one.
    pub(super) fn take_exception(self) -> Option<NapiValue> {
        let mut pending = false;
        // SAFETY: an environment of this thread.
        ok(unsafe { sys::napi_is_exception_pending(self.0, &raw mut pending) }).ok()?;
        if !pending {
            return None;
        }
        let mut exception = ptr::null_mut();
        // SAFETY: as above.
        ok(unsafe { sys::napi_get_and_clear_last_exception(self.0, &raw mut exception) }).ok()?;
        Some(exception)
    }

    /// Runs `body` with a handle scope of its own.
    pub(super) fn scoped<T>(self, body: impl FnOnce() -> T) -> Option<T> {
        let mut scope = ptr::null_mut();
        // SAFETY: an environment of this thread; the scope is closed below.
        ok(unsafe { sys::napi_open_handle_scope(self.0, &raw mut scope) }).ok()?;
        let result = body();
        // SAFETY: the scope that was opened above; Node-API allows closing it with an exception pending.
        unsafe { sys::napi_close_handle_scope(self.0, scope) };
        Some(result)
    }

    /// Runs `body` as a callback from the event loop: microtasks and ticks run when it ends.
    pub(super) fn as_callback<T>(
        self,
        context: sys::napi_async_context,
        outside: &mut Outside,
        body: impl FnOnce(&mut Outside) -> T,
    ) -> Option<T> {
        let mut scope = ptr::null_mut();
        // SAFETY: an environment of this thread within a handle scope; Node ignores the resource object.
        ok(unsafe { sys::napi_open_callback_scope(self.0, ptr::null_mut(), context, &raw mut scope) }).ok()?;
        let result = body(outside);
        // SAFETY: the scope that was opened above.
        unsafe { sys::napi_close_callback_scope(self.0, scope) };
        Some(result)
    }
}
