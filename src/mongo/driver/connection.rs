//! What an executor has once it is connected.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{RawDocumentBuf, serialize_to_raw_document_buf};
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, DriverInfo};
use mongodb::{Client, Database};

use super::gate::Gate;
use super::late::Late;
use super::members::Members;
use super::numbers::Numbers;
use super::trip::pool_events;
use crate::config::mongo::{MongoConfig, unusable};
use crate::mongo::failure::{Failure, Outcome};

/// Connections that the driver keeps to a server where the connection string does not say how many.
const POOL: u32 = 10;
/// So many connections may be held by commands that are overdue, before they take the place of others.
const OVERDUE: u32 = 100;
/// How often monitors ask a server, at the least and at the most; within a deadline it is several times.
const HEARTBEAT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
const HEARTBEATS: u32 = 4;

/// See the module.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) database: Database,
    pub(super) write_concern: Option<RawDocumentBuf>,
    pub(super) gate: Gate,
    pub(super) numbers: Arc<Numbers>,
    pub(super) late: Late,
    pub(super) members: Arc<Members>,
}

impl Connected {
    /// Reads the connection string, and the names of `mongodb+srv://`. Connections are made by the first commands.
    pub(super) async fn new(config: MongoConfig) -> Outcome<Arc<Self>> {
        let refused = |error: mongodb::error::Error| match *error.kind {
            ErrorKind::DnsResolve { .. } => Failure::from(error),
            _ => Failure::from(unusable(&config.secrets, &error.kind.to_string())),
        };
        let mut options = ClientOptions::parse(&config.uri).await.map_err(refused)?;
        // An unreachable server must be told from one that does not answer before the deadline is over.
        let selection = config.timeout.mul_f64(0.9);
        options.server_selection_timeout =
            Some(options.server_selection_timeout.map_or(selection, |given| given.min(selection)));
        options.driver_info = Some(DriverInfo::builder().name("backtest-kit-native").build());
        options.cmap_event_handler = Some(pool_events());
        let members = Arc::new(Members::default());
        options.sdam_event_handler = Some(members.events());
        // Whether a server is silent or only busy must be known when a deadline is over.
        options.heartbeat_freq.get_or_insert((config.timeout / HEARTBEATS).clamp(HEARTBEAT.0, HEARTBEAT.1));
        let name = options.default_database.clone().unwrap_or_else(|| "test".to_owned());
        let concern = options.write_concern.as_ref().map(serialize_to_raw_document_buf);
        let write_concern = concern.transpose()?.filter(|concern| !concern.is_empty());
        // The gate keeps to the pool's size; what is overdue stays in the driver's pool until its end.
        let pool = options.max_pool_size.unwrap_or(POOL);
        options.max_pool_size = Some(if pool == 0 { 0 } else { pool.saturating_add(OVERDUE) });
        let numbers = Numbers::new(options.retry_writes != Some(false));
        let client = Client::with_options(options).map_err(refused)?;
        let database = client.database(&name);
        let (gate, late) = (Gate::new(pool), Late::default());
        Ok(Arc::new(Self { client, database, write_concern, gate, numbers, late, members }))
    }
}
