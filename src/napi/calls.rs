//! What the addon exports.

use std::ptr;

use napi::sys;

use super::engine::Engine;
use super::js::{Call, Env, Js, NapiValue, Pending};
use super::teardown::finalize;
use super::{candle_calls, control_calls, id_calls, map_calls, mongo_calls, store_tools, transfer_calls};
use crate::services::table::to_json;

fn make_engine(env: Env, call: &Call<2>) -> Js<Result<NapiValue, String>> {
    let engine = match Engine::new(env, call.args[0], call.args[1]) {
        Ok(engine) => engine,
        Err(why) => return Ok(Err(why)),
    };
    if engine.add_cleanup().is_err() {
        return Ok(Err("the engine could not be created".to_owned()));
    }
    let object = env.object()?;
    let all = [
        map_calls::FUNCTIONS,
        id_calls::FUNCTIONS,
        control_calls::FUNCTIONS,
        mongo_calls::FUNCTIONS,
        transfer_calls::FUNCTIONS,
        candle_calls::FUNCTIONS,
    ];
    for (name, callback) in all.into_iter().flatten() {
        let data = engine.count_for_function();
        let function = env.function(name, *callback, data)?;
        // SAFETY: the finalizer drops the count that the function holds.
        unsafe {
            sys::napi_add_finalizer(env.0, function, data, Some(finalize), ptr::null_mut(), ptr::null_mut());
        }
        engine.function_made();
        let key = std::ffi::CString::new(*name).map_err(|_| Pending)?;
        env.set_named(object, &key, function)?;
    }
    Ok(Ok(object))
}

unsafe extern "C" fn create_engine(env: sys::napi_env, info: sys::napi_callback_info) -> NapiValue {
    let env = Env(env);
    let Ok(call) = env.call::<2>(info) else { return ptr::null_mut() };
    match make_engine(env, &call) {
        Ok(Ok(object)) => object,
        Ok(Err(why)) => {
            let why = std::ffi::CString::new(why).unwrap_or_default();
            // SAFETY: the running environment; the text ends with NUL.
            unsafe { sys::napi_throw_error(env.0, ptr::null(), why.as_ptr()) };
            ptr::null_mut()
        }
        Err(Pending) => ptr::null_mut(),
    }
}

unsafe extern "C" fn services(env: sys::napi_env, _: sys::napi_callback_info) -> NapiValue {
    Env(env).text(to_json().to_string().as_bytes()).unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn collections(env: sys::napi_env, _: sys::napi_callback_info) -> NapiValue {
    Env(env).text(crate::mongo::table::to_json().to_string().as_bytes()).unwrap_or(ptr::null_mut())
}

/// Puts the addon's functions on its exports.
pub(super) fn export(env: sys::napi_env, exports: NapiValue) {
    let env = Env(env);
    let functions: [(&str, sys::napi_callback, &std::ffi::CStr); 6] = [
        ("createEngine", Some(create_engine), c"createEngine"),
        ("services", Some(services), c"services"),
        ("collections", Some(collections), c"collections"),
        ("storeFacts", Some(store_tools::facts), c"storeFacts"),
        ("rowDigests", Some(store_tools::digests), c"rowDigests"),
        ("storeBackup", Some(store_tools::backup), c"storeBackup"),
    ];
    for (name, callback, key) in functions {
        if let Ok(function) = env.function(name, callback, ptr::null_mut()) {
            let _ = env.set_named(exports, key, function);
        }
    }
}
