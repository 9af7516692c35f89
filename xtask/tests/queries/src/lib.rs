//! Queries that are checked when they are compiled.

use sqlx::PgPool;

/// The customers of this name.
pub async fn customers(db: &PgPool, name: &str) -> sqlx::Result<Vec<i64>> {
    let rows = sqlx::query!("SELECT id, name FROM customer WHERE name = $1", name).fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// How wide every purchase is, in a form that does not tell the column's type.
pub async fn widths(db: &PgPool) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query!(
        r#"SELECT code, width
           FROM purchase
           WHERE state = 'paid' AND code <> '"'"#
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| format!("{} {:?}", row.code, row.width)).collect())
}
