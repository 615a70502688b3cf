//! The configuration as other clients in the process take it: the project's own ioredis and mongoose.

use serde_json::{Map, Value, json};

use crate::config::{self, Address, Values};
use crate::error::Result;
use crate::pem::Pem;

/// `{ redis, mongo }`: what ioredis's constructor takes, or with `nodes` that of its cluster, with files of TLS still as `{ file }` or `{ text }`, and a
/// connection string with the longest wait for a server in milliseconds. It holds secrets, so it is shown to nobody.
pub fn options(values: &Values) -> Result<Value> {
    let config = config::resolve(values)?;
    let mongo = config::mongo::resolve(values)?;
    let mut redis = match config.address {
        Address::Tcp(host, port) => json!({ "host": host, "port": port }),
        Address::Unix(path) => json!({ "path": path }),
        Address::Master(name) => json!({ "name": name }),
    };
    redis["db"] = config.database.into();
    if let Some(cluster) = config.cluster {
        redis = json!({ "nodes": addresses(cluster.seeds) });
    }
    if let Some(credentials) = config.credentials {
        redis["password"] = credentials.password.into();
        if let Some(user) = credentials.user {
            redis["username"] = user.into();
        }
    }
    if let Some(sentinels) = config.sentinels {
        redis["sentinels"] = addresses(sentinels.seeds);
        if let Some(credentials) = sentinels.credentials {
            redis["sentinelPassword"] = credentials.password.into();
            if let Some(user) = credentials.user {
                redis["sentinelUsername"] = user.into();
            }
        }
    }
    if let Some(tls) = config.tls {
        let mut files = Map::new();
        let (certificate, key) = tls.identity.map_or((None, None), |(certificate, key)| (Some(certificate), Some(key)));
        for (name, pem) in [("ca", tls.authorities), ("cert", certificate), ("key", key)] {
            match pem {
                Some(Pem::File(path)) => files.insert(name.to_owned(), json!({ "file": path })),
                Some(Pem::Text(text)) => files.insert(name.to_owned(), json!({ "text": text })),
                None => None,
            };
        }
        redis["tls"] = Value::Object(files);
    }
    let timeout = u64::try_from(mongo.timeout.as_millis()).unwrap_or(u64::MAX);
    Ok(json!({ "redis": redis, "mongo": { "uri": mongo.uri, "timeout": timeout } }))
}

fn addresses(of: Vec<(String, u16)>) -> Value {
    of.into_iter().map(|(host, port)| json!({ "host": host, "port": port })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Value {
        let values = pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        options(&values).unwrap()
    }

    #[test]
    fn both_sets_of_defaults_are_passed_on() {
        let alone = of(&[]);
        let expected = json!({ "host": "127.0.0.1", "port": 6379, "db": 0, "username": "default", "password": "mysecurepassword" });
        assert_eq!(alone["redis"], expected);
        assert_eq!(alone["mongo"]["uri"], "mongodb://localhost:27017/backtest-pro?wtimeoutMS=15000");
        let setup = of(&[(config::SETUP, "")]);
        assert_eq!(setup["redis"], json!({ "host": "127.0.0.1", "port": 6379, "db": 0 }));
        assert_eq!(setup["mongo"]["uri"], "mongodb://localhost:27017/backtest-kit?wtimeoutMS=15000");
    }

    #[test]
    fn sentinels_become_options() {
        let options = of(&[
            ("CC_REDIS_URL", "redis+sentinel://bot:pw@one,two:7/mymaster/3"),
            ("CC_REDIS_SENTINEL_USER", "watch"),
            ("CC_REDIS_SENTINEL_PASSWORD", "pw2"),
        ]);
        let expected = json!({
            "name": "mymaster", "db": 3, "username": "bot", "password": "pw",
            "sentinels": [{ "host": "one", "port": 26_379 }, { "host": "two", "port": 7 }],
            "sentinelUsername": "watch", "sentinelPassword": "pw2",
        });
        assert_eq!(options["redis"], expected);
    }

    #[test]
    fn nodes_of_a_cluster_become_options() {
        let options = of(&[("CC_REDIS_URL", "redis+cluster://bot:pw@one,two:7000")]);
        let nodes = json!([{ "host": "one", "port": 6_379 }, { "host": "two", "port": 7_000 }]);
        assert_eq!(options["redis"], json!({ "nodes": nodes, "username": "bot", "password": "pw" }));
    }

    #[test]
    fn urls_sockets_and_tls_become_options() {
        let socket = of(&[("CC_REDIS_URL", "unix:/run/redis.sock?pass=p%40w&db=3")]);
        assert_eq!(socket["redis"], json!({ "path": "/run/redis.sock", "db": 3, "password": "p@w" }));
        let secure = of(&[
            ("CC_REDIS_URL", "rediss://bot:pw@example:7000"),
            ("CC_REDIS_TLS_CA", "/ca.pem"),
            ("CC_REDIS_TLS_CERT", "-----BEGIN CERTIFICATE-----"),
            ("CC_REDIS_TLS_KEY", "/key.pem"),
        ]);
        let tls = json!({
            "ca": { "file": "/ca.pem" }, "cert": { "text": "-----BEGIN CERTIFICATE-----" }, "key": { "file": "/key.pem" }
        });
        assert_eq!(secure["redis"]["tls"], tls);
        assert_eq!(secure["redis"]["username"], "bot");
    }
}
