//! Where ciphertext lies: records flow in and out of cells that are written over, never deleted.
//!
//! `secure_delete` is not enough for I5. When SQLite joins or splits pages it moves their rows, and
//! what stood in a page before stays in its unused part, where no later delete reaches it: measured
//! with random histories of some hundred captures, most of which left ciphertext behind. So rows
//! with ciphertext never move. A cell is added at the end only, it has one of few sizes, and
//! content of the same size is written over it in place; a purged one is zeros.

use kakehi_engine::password::RecordId;
use rusqlite::{Connection, OptionalExtension};

use super::error::{QueueError, Result};

/// Sizes of cells: an envelope with short names, with long ones, and as long as it may be.
const SIZES: [usize; 4] = [512, 1024, 2048, 8192];

/// Rows that are in the table from the beginning: with them its first page is split already.
/// After that, adding at the end moves nothing.
pub(super) const FILLERS: i64 = 4;

/// Puts the ciphertext of a record into a free cell, or into a new one.
pub(super) fn keep(sql: &Connection, record: RecordId, kid: [u8; 8], sealed: &[u8]) -> Result<()> {
    let bytes = sealed.len();
    let size = SIZES.into_iter().find(|size| *size >= bytes);
    let size = size.ok_or(QueueError::TooLong { bytes, max: SIZES[SIZES.len() - 1] })?;
    let mut content = sealed.to_vec();
    content.resize(size, 0);
    let free: Option<i64> = sql
        .prepare_cached(
            "DELETE FROM pw_free WHERE cell = (SELECT cell FROM pw_free WHERE size = ?1 LIMIT 1)
             RETURNING cell",
        )?
        .query_row([size as i64], |row| row.get(0))
        .optional()?;
    let cell = match free {
        Some(cell) => {
            write_over(sql, cell, &content)?;
            cell
        }
        None => sql
            .prepare_cached("INSERT INTO pw_cell VALUES (NULL, ?1) RETURNING id")?
            .query_row([&content], |row| row.get(0))?,
    };
    sql.prepare_cached("INSERT INTO pw_sealed VALUES (?1, ?2, ?3, ?4)")?.execute((
        record.0,
        kid,
        bytes as i64,
        cell,
    ))?;
    Ok(())
}

/// The ciphertext of a record; `None`: it has none.
pub(super) fn read(sql: &Connection, record: RecordId) -> Result<Option<Vec<u8>>> {
    let mut statement = sql.prepare_cached(
        "SELECT substr(content, 1, bytes) FROM pw_sealed JOIN pw_cell ON id = cell
         WHERE record = ?1",
    )?;
    Ok(statement.query_row([record.0], |row| row.get(0)).optional()?)
}

/// Whether a record has its ciphertext.
pub(super) fn has(sql: &Connection, record: RecordId) -> Result<bool> {
    let mut statement = sql.prepare_cached(
        "SELECT 1 FROM pw_sealed JOIN pw_cell ON id = cell
         WHERE record = ?1 AND length(content) >= bytes",
    )?;
    Ok(statement.exists([record.0])?)
}

/// Writes zeros over the ciphertext of a record. Gives how many bytes it had, if it had any.
pub(super) fn wipe(sql: &Connection, record: RecordId) -> Result<Option<u64>> {
    let mut delete =
        sql.prepare_cached("DELETE FROM pw_sealed WHERE record = ?1 RETURNING cell, bytes")?;
    let kept: Option<(i64, i64)> =
        delete.query_row([record.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((cell, bytes)) = kept else { return Ok(None) };
    free(sql, cell)?;
    Ok(Some(bytes.cast_unsigned()))
}

/// Frees cells that nothing speaks of; only a damaged file has such. Gives how many there were.
pub(super) fn wipe_lost(sql: &Connection) -> Result<usize> {
    let mut statement = sql.prepare(
        "SELECT id FROM pw_cell WHERE id > ?1 AND id NOT IN (SELECT cell FROM pw_sealed)
           AND id NOT IN (SELECT cell FROM pw_free)",
    )?;
    let lost = statement.query_map([FILLERS], |row| row.get(0))?;
    let lost: Vec<i64> = lost.collect::<rusqlite::Result<_>>()?;
    for cell in &lost {
        free(sql, *cell)?;
    }
    Ok(lost.len())
}

fn free(sql: &Connection, cell: i64) -> Result<()> {
    let size: Option<i64> = sql
        .prepare_cached("SELECT length(content) FROM pw_cell WHERE id = ?1")?
        .query_row([cell], |row| row.get(0))
        .optional()?;
    let Some(size) = size else { return Ok(()) };
    write_over(sql, cell, &vec![0; usize::try_from(size).unwrap_or_default()])?;
    sql.prepare_cached("INSERT INTO pw_free VALUES (?1, ?2)")?.execute((cell, size))?;
    Ok(())
}

/// In place, because the content has the size that it had.
fn write_over(sql: &Connection, cell: i64, content: &[u8]) -> Result<()> {
    sql.prepare_cached("UPDATE pw_cell SET content = ?2 WHERE id = ?1")?
        .execute((cell, content))?;
    Ok(())
}
