//! Candles of the embedded store that are answered on the JavaScript thread, in columns.

use super::bind::{Thrown, functions, text_of};
use super::embedded_state::Side;
use super::js::{Env, NapiValue};
use crate::store::block::{NUMBERS, SLOTS, Series};
use crate::store::columns;
use napi::sys;

/// More blocks than there are of any interval.
const MOST: f64 = 1e9;

/// What the first three arguments name.
fn series_of(env: Env, args: &[NapiValue]) -> Result<Series, Thrown> {
    Ok(Series { symbol: text_of(env, args[0])?, interval: text_of(env, args[1])?, exchange: text_of(env, args[2])? })
}

functions! {
    /// `gridColumn(buffer, since, step)`: fills a Buffer with timestamps, from the first one on. A loop in JavaScript takes
    /// milliseconds for a month where nothing has been compiled yet.
    grid_column as "gridColumn" (_engine, call: 3) {
        let env = call.env;
        let (since, step) = (env.f64(call.args[1])?, env.f64(call.args[2])?);
        env.fill_buffer(call.args[0], |bytes| {
            for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                #[allow(clippy::cast_precision_loss, reason = "a place of a column")]
                let timestamp = since + place as f64 * step;
                *number = timestamp.to_le_bytes();
            }
        })?;
        Ok(Some(env.undefined()?))
    }

    /// `storeBlock(symbol, interval, exchangeName, block, rows, buffer)`: fills a Buffer, which holds nothing but zeros, with the
    /// candles of a block; see [`columns`]. How many they are; null where the store must be asked by a request instead.
    store_block as "storeBlock" (engine, call: 6) {
        let env = call.env;
        let block = env.f64(call.args[3])?;
        let rows = env.truthy(call.args[4])?;
        if !engine.is_embedded(Side::Rows) || !(0.0..MOST).contains(&block) {
            return Ok(Some(env.null()?));
        }
        let series = series_of(env, &call.args)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
        let block = block as u64;
        let filled = env.fill_buffer(call.args[5], |bytes| {
            let fits = bytes.len() == columns::size(rows);
            fits.then(|| engine.embedded.borrow_mut().at_once(|store| columns::fill(store, &series, block, rows, bytes)))
        })?;
        match filled.flatten().flatten() {
            Some(Ok(Some(count))) => Ok(Some(env.number(f64::from(count))?)),
            _ => Ok(Some(env.null()?)),
        }
    }

    /// `storeColumns(symbol, interval, exchangeName, first, limit, open, high, low, close, volume)`: copies a window, from a slot on,
    /// into Buffers of so many numbers. How many candles were there; null where the store must be asked by a request instead.
    store_columns as "storeColumns" (engine, call: 10) {
        let env = call.env;
        let (first, limit) = (env.f64(call.args[3])?, env.f64(call.args[4])?);
        let last = MOST * f64::from(SLOTS);
        if !engine.is_embedded(Side::Rows) || !(0.0..last).contains(&first) || !(0.0..=last - first).contains(&limit) {
            return Ok(Some(env.null()?));
        }
        let series = series_of(env, &call.args)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
        let (slots, bytes) = (first as u64..first as u64 + limit as u64, limit as usize * 8);
        let buffers = std::array::from_fn(|column| call.args[5 + column]);
        let copied = env.fill_buffers(buffers, |columns: [&mut [u8]; NUMBERS]| {
            let fit = columns.iter().all(|column| column.len() == bytes);
            let columns = columns.map(|column| column.as_chunks_mut().0);
            fit.then(|| engine.embedded.borrow_mut().at_once(|store| columns::copy(store, &series, slots, columns)))
        })?;
        match copied.flatten().flatten() {
            #[allow(clippy::cast_precision_loss, reason = "no more than were asked for")]
            Some(Ok(Some(count))) => Ok(Some(env.number(count as f64)?)),
            _ => Ok(Some(env.null()?)),
        }
    }
}
