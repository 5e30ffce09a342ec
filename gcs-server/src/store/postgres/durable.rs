//! What a connection to PostgreSQL is set to, so that everything that is committed on it is durable.

use tokio_postgres::Client;

use crate::store::StoreError;

/// Makes sure that a commit waits for the disk, whatever the defaults are and become. Other engines do
/// not know these settings, and have no choice to be durable or not.
pub(super) async fn expect_durable(client: &Client) -> Result<(), StoreError> {
    if setting(client, "fsync").await?.as_deref() == Some("off") {
        return Err(StoreError::NotDurable("fsync = off"));
    }
    if let Some(commit) = setting(client, "synchronous_commit").await? {
        let commit = if commit == "remote_apply" { "remote_apply" } else { "on" };
        set(client, "synchronous_commit", commit).await?;
    }
    // A statement that is cancelled while it waits for the standby is committed on this server only, and
    // nothing but a warning says so.
    // What a node that is gone has begun must not keep the others waiting for hours.
    for (name, value) in [
        ("statement_timeout", "0"),
        ("client_min_messages", "warning"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "20000"),
    ] {
        if setting(client, name).await?.is_some() {
            set(client, name, value).await?;
        }
    }
    Ok(())
}

async fn set(client: &Client, name: &str, value: &str) -> Result<(), StoreError> {
    Ok(client.batch_execute(&format!("SET {name} = '{value}'")).await?)
}

/// A setting of the server, if it has one of this name.
async fn setting(client: &Client, name: &str) -> Result<Option<String>, StoreError> {
    match client.query_typed(&format!("SHOW {name}"), &[]).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.try_get(0).ok())),
        Err(error) if error.as_db_error().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
