//! Why a database cannot be reached, as far as the error and the address tell it.

use std::io::ErrorKind;

use sqlx::postgres::PgConnectOptions;

/// What to do about an error of the first connection, if that is known.
pub fn hint(options: &PgConnectOptions, error: &sqlx::Error) -> Option<String> {
    if is_untrusted(error) {
        return Some(
            "the database's certificate is not of an authority that this machine trusts, or not for its host; \
             set DATABASE_CA to the certificate of its authority (at Supabase: Database → Settings → SSL Configuration)"
                .to_owned(),
        );
    }
    let project = options.get_host().strip_prefix("db.")?.strip_suffix(".supabase.co")?;
    let was_reached = match error {
        sqlx::Error::Io(error) => {
            matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
        }
        sqlx::Error::PoolTimedOut => false,
        _ => true,
    };
    (!was_reached).then(|| {
        format!(
            "Supabase's direct connection has an IPv6 address only, unless the project has the IPv4 add-on; from a machine \
             without IPv6 use the session pooler, as Connect → Session pooler in the dashboard shows it: \
             postgres://postgres.{project}:PASSWORD@aws-0-REGION.pooler.supabase.com:5432/postgres"
        )
    })
}

/// Whether the server's certificate was refused. Another attempt ends in the same way.
pub fn is_untrusted(error: &sqlx::Error) -> bool {
    let sqlx::Error::Io(error) = error else { return false };
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_direct_host_without_ipv6_is_explained_with_the_session_pooler() {
        let direct: PgConnectOptions =
            "postgres://postgres:hunter2@db.abcdef.supabase.co:5432/postgres".parse().unwrap();
        let io = |kind| sqlx::Error::Io(io::Error::from(kind));
        let away = [io(ErrorKind::NetworkUnreachable), io(ErrorKind::AddrNotAvailable), sqlx::Error::PoolTimedOut];
        // What a resolver says that finds no IPv4 address.
        let unknown = sqlx::Error::Io(io::Error::other("failed to lookup address information"));
        for error in away.into_iter().chain([unknown]) {
            let hint = hint(&direct, &error).unwrap();
            assert!(
                hint.contains("postgres://postgres.abcdef:PASSWORD@aws-0-REGION.pooler.supabase.com:5432/"),
                "{hint}"
            );
            assert!(!hint.contains("hunter2"), "{hint}");
        }
        for reached in [io(ErrorKind::ConnectionRefused), io(ErrorKind::UnexpectedEof), sqlx::Error::PoolClosed] {
            assert_eq!(hint(&direct, &reached), None, "{reached}");
        }
        for other in ["postgres://u@127.0.0.1/db", "postgres://u@aws-0-eu-north-1.pooler.supabase.com:5432/postgres"] {
            assert_eq!(hint(&other.parse().unwrap(), &io(ErrorKind::NetworkUnreachable)), None, "{other}");
        }
    }
}
